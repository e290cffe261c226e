import { Clock, Effect } from "effect"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, DEFAULT_TOPIC_QUEUE_NUMS, MASTER_ID, PermName } from "../message/MixAll.ts"
import * as CreateTopic from "../protocol/request/CreateTopic.ts"
import * as DeleteTopic from "../protocol/request/DeleteTopic.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"
import * as GetTopicList from "../protocol/request/GetTopicList.ts"
import { RouteUnavailable } from "../client/ClientError.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, NoMaster, UnknownCluster } from "./AdminError.ts"

/** A topic to create or to change. */
export interface CreateTopicOptions {
  readonly topic: string
  /** The cluster whose masters get it; may be left out where there is only one. */
  readonly clusterName?: string | undefined
  /** Queues on each master that can be read; default 4. */
  readonly readQueueNums?: number | undefined
  /** Queues on each master that can be written; default `readQueueNums`. */
  readonly writeQueueNums?: number | undefined
  /** Bits of `PermName`; default 6, read and write. */
  readonly perm?: number | undefined
  /** Attributes of 5.x, `{"message.type": "FIFO"}` for instance. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

/** A topic that was created. */
export interface CreatedTopic {
  readonly topic: string
  readonly clusterName: string
  /** The masters that have it, by name. */
  readonly brokers: ReadonlyArray<{ readonly brokerName: string; readonly address: string }>
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  /** Whether the name server named all of those brokers before the wait for it was over. */
  readonly routed: boolean
}

/** The calls about topics; the names are those of Java's `DefaultMQAdminExt`. */
export interface Topics {
  /** The names of all topics, those of the system included, sorted. */
  readonly fetchAllTopicList: Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Where a topic lives, as a name server says it. An unknown topic fails with `RouteUnavailable`, `topic-absent`. */
  readonly examineTopicRouteInfo: (topic: string) => Effect.Effect<TopicRouteData, AdminError>
  /** Creates a topic on every master of a cluster, or changes it, and waits until the name server knows it. */
  readonly createTopic: (options: CreateTopicOptions) => Effect.Effect<CreatedTopic, AdminError>
  /** Deletes a topic with its messages: on every master that has it, then on every name server. */
  readonly deleteTopic: (topic: string) => Effect.Effect<void, AdminError>
}

/** How often the name server is asked whether it knows a new topic by now, in milliseconds. */
const ROUTE_POLL_MILLIS = 50

/** Makes the calls about topics. Source: RocketMQ `MQClientAPIImpl`, `DefaultMQAdminExtImpl`. */
export const make = ({ instance, timeoutMillis, translate }: AdminContext): Topics => {
  const { api, nameServer } = instance

  /** The masters of a cluster, sorted by name. */
  const masters = Effect.fnUntraced(function* (wanted: string | undefined) {
    const info = yield* api.callNameServer(
      GetBrokerClusterInfo.request(),
      timeoutMillis,
      GetBrokerClusterInfo.decodeResponse
    )
    const clusters = [...info.clusterAddrTable.keys()].toSorted()
    const clusterName = wanted ?? (clusters.length === 1 ? clusters[0] : undefined)
    const names = clusterName === undefined ? undefined : info.clusterAddrTable.get(clusterName)
    if (clusterName === undefined || names === undefined) {
      return yield* new UnknownCluster({ clusterName: wanted, clusters })
    }
    const brokers: Array<{ readonly brokerName: string; readonly address: string }> = []
    for (const brokerName of names.toSorted()) {
      const address = info.brokerAddrTable.get(brokerName)?.brokerAddrs.get(MASTER_ID)
      if (address === undefined) continue
      brokers.push({ brokerName, address: yield* translate({ brokerName, brokerId: MASTER_ID, address }) })
    }
    return brokers.length === 0 ? yield* new NoMaster({ clusterName, brokers: [...names] }) : { clusterName, brokers }
  })

  /** Waits until the route names all brokers, for as long as a request may take. Brokers register a new topic at once. */
  const awaitRoute = Effect.fnUntraced(function* (topic: string, brokers: ReadonlyArray<string>) {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const deadline = now() + timeoutMillis
    for (;;) {
      const answer = yield* Effect.option(api.getTopicRouteInfo(topic, timeoutMillis))
      const known = new Set(answer._tag === "Some" ? (answer.value?.queueDatas ?? []).map((q) => q.brokerName) : [])
      if (brokers.every((name) => known.has(name))) return true
      if (now() + ROUTE_POLL_MILLIS > deadline) return false
      yield* Effect.sleep(ROUTE_POLL_MILLIS)
    }
  })

  const createTopic = Effect.fnUntraced(function* (
    options: CreateTopicOptions
  ): Effect.fn.Return<CreatedTopic, AdminError> {
    const { topic } = options
    const operation = `create topic ${topic}`
    const readQueueNums = options.readQueueNums ?? DEFAULT_TOPIC_QUEUE_NUMS
    const writeQueueNums = options.writeQueueNums ?? readQueueNums
    const perm = options.perm ?? PermName.READ | PermName.WRITE
    const attributes = Object.entries(options.attributes ?? {})
    const { brokers, clusterName } = yield* masters(options.clusterName).pipe(failing(operation))
    const done: Array<string> = []
    for (const { address, brokerName } of brokers) {
      const request = CreateTopic.request({
        topic,
        defaultTopic: AUTO_CREATE_TOPIC_KEY_TOPIC,
        readQueueNums,
        writeQueueNums,
        perm,
        topicFilterType: "SINGLE_TAG",
        order: false,
        ...(attributes.length === 0
          ? {}
          : { attributes: attributes.map(([name, value]) => `+${name}=${value}`).join(",") })
      })
      yield* api.call(address, request, timeoutMillis, CreateTopic.decodeResponse).pipe(failing(operation, done))
      done.push(brokerName)
    }
    const routed = yield* awaitRoute(topic, done)
    return { topic, clusterName, brokers, readQueueNums, writeQueueNums, perm, routed }
  })

  const deleteTopic = Effect.fnUntraced(function* (topic: string): Effect.fn.Return<void, AdminError> {
    const operation = `delete topic ${topic}`
    const route = yield* api.getTopicRouteInfo(topic, timeoutMillis).pipe(failing(operation))
    const done: Array<string> = []
    for (const { brokerAddrs, brokerName } of route?.brokerDatas ?? []) {
      const announced = brokerAddrs.get(MASTER_ID)
      if (announced === undefined) continue
      const address = yield* translate({ brokerName, brokerId: MASTER_ID, address: announced })
      yield* api
        .call(address, DeleteTopic.request({ topic }, "broker"), timeoutMillis, DeleteTopic.decodeResponse)
        .pipe(failing(operation, done))
      done.push(brokerName)
    }
    for (const address of yield* nameServer.addresses) {
      yield* api
        .call(address, DeleteTopic.request({ topic }, "namesrv"), timeoutMillis, DeleteTopic.decodeResponse)
        .pipe(failing(operation, done))
      done.push(address)
    }
  })

  return {
    fetchAllTopicList: api.callNameServer(GetTopicList.request(), timeoutMillis, GetTopicList.decodeResponse).pipe(
      Effect.map(({ topicList }) => topicList.toSorted()),
      failing("list the topics")
    ),
    examineTopicRouteInfo: (topic) =>
      api.getTopicRouteInfo(topic, timeoutMillis).pipe(
        Effect.flatMap((route) =>
          route === undefined
            ? Effect.fail(new RouteUnavailable({ topic, problem: "topic-absent", tries: [] }))
            : Effect.succeed(route)
        ),
        failing(`read the route of topic ${topic}`)
      ),
    createTopic,
    deleteTopic
  }
}
