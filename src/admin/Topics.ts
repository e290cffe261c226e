import { Clock, Effect } from "effect"
import { BROKERS_AT_ONCE, gather } from "./Gather.ts"
import { TopicAlreadyExists, TopicNotFound } from "./AdminError.ts"
import type { AdminError } from "./AdminError.ts"
import { absentOn } from "../client/MQClientApi.ts"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, DEFAULT_TOPIC_QUEUE_NUMS, isSystemTopic, PermName } from "../message/MixAll.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as CreateTopic from "../protocol/request/CreateTopic.ts"
import * as DeleteTopic from "../protocol/request/DeleteTopic.ts"
import * as GetAllTopicConfig from "../protocol/request/GetAllTopicConfig.ts"
import * as GetTopicConfig from "../protocol/request/GetTopicConfig.ts"
import * as GetTopicList from "../protocol/request/GetTopicList.ts"
import * as GetTopicStats from "../protocol/request/GetTopicStats.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { TopicConfig } from "../protocol/TopicConfig.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"
import { monotonicMillis } from "../transport/Deadline.ts"
import { type AdminContext, type BrokerAddress, failing, type IfExists, keptOf } from "./AdminContext.ts"

/** A topic to create or to change. */
export interface CreateTopicOptions {
  /** The topic's name: at most 127 letters, digits, `%`, `|`, `-` and `_`. */
  readonly topic: string
  /** The cluster whose masters get it; may be left out where there is only one. */
  readonly clusterName?: string | undefined
  /** Queues on each master that can be read; default 4. */
  readonly readQueueNums?: number | undefined
  /** Queues on each master that can be written; default `readQueueNums`. */
  readonly writeQueueNums?: number | undefined
  /** Bits of `PermName`; default 6, read and write. */
  readonly perm?: number | undefined
  /** Whether it is an ordered topic; default false. */
  readonly order?: boolean | undefined
  /** Attributes of 5.x, `{"message.type": "FIFO"}` for instance. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** What to do where a master has the topic already; default `replace`, as Java's `createAndUpdateTopicConfig`. */
  readonly ifExists?: IfExists | undefined
}

/** What to change of a topic; what is left out stays as it is on each broker. */
export interface UpdateTopicOptions {
  /** The topic's name. */
  readonly topic: string
  /** The one master on which it is changed, by its broker's name; default all that have it. */
  readonly brokerName?: string | undefined
  /** Queues on each master that can be read. */
  readonly readQueueNums?: number | undefined
  /** Queues on each master that can be written. */
  readonly writeQueueNums?: number | undefined
  /** Bits of `PermName`: 2 write, 4 read; 6 is both. */
  readonly perm?: number | undefined
  /** Whether it is an ordered topic. */
  readonly order?: boolean | undefined
  /** Attributes of 5.x to set; undefined as a value removes one. Those of a topic cannot all be changed. */
  readonly attributes?: Readonly<Record<string, string | undefined>> | undefined
}

/** A topic that was created. */
export interface CreatedTopic {
  /** The topic's name. */
  readonly topic: string
  /** The cluster whose masters have it. */
  readonly clusterName: string
  /** The masters that have it now, by name. */
  readonly brokers: ReadonlyArray<BrokerAddress>
  /** Those of them that had it before and were left as they were, by name; only with `ifExists: "keep"`. */
  readonly kept?: ReadonlyArray<string>
  /** Queues on each master that can be read. */
  readonly readQueueNums: number
  /** Queues on each master that can be written. */
  readonly writeQueueNums: number
  /** Bits of `PermName`: 2 write, 4 read; 6 is both. */
  readonly perm: number
  /** Whether the name server named all of those brokers before the wait for it was over. */
  readonly routed: boolean
}

/** A topic as one broker keeps it. */
export interface BrokerTopicConfig {
  /** The broker's name. */
  readonly brokerName: string
  /** What it keeps. */
  readonly config: TopicConfig
}

/** What a queue of a topic holds. */
export interface QueueStats extends GetTopicStats.TopicOffset {
  /** The queue. */
  readonly queue: MessageQueue
}

/** The calls about topics; the names are those of Java's `DefaultMQAdminExt`. */
export interface Topics {
  /** The names of all topics, those of the system included, sorted; within a namespace, its topics and the system's. */
  readonly fetchAllTopicList: Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Where a topic lives, as a name server says it. An unknown topic fails with `RouteUnavailable`, `topic-absent`. */
  readonly examineTopicRouteInfo: (topic: string) => Effect.Effect<TopicRouteData, AdminError>
  /** A topic as each of its masters keeps it, with its attributes. */
  readonly examineTopicConfig: (topic: string) => Effect.Effect<ReadonlyArray<BrokerTopicConfig>, AdminError>
  /** What the queues of a topic hold, by broker and queue id. */
  readonly examineTopicStats: (topic: string) => Effect.Effect<ReadonlyArray<QueueStats>, AdminError>
  /**
   * Creates a topic on every master of a cluster, and waits until the name server knows it. A topic that is there is
   * replaced, unless `ifExists` says otherwise; with `fail` it fails with `TopicAlreadyExists`.
   */
  readonly createTopic: (options: CreateTopicOptions) => Effect.Effect<CreatedTopic, AdminError>
  /** Changes a topic on every master that has it, and gives what each has now. */
  readonly updateTopic: (options: UpdateTopicOptions) => Effect.Effect<ReadonlyArray<BrokerTopicConfig>, AdminError>
  /**
   * Deletes a topic with its messages: on every master that has it, then on every name server, on each of those that one
   * host name stands for.
   */
  readonly deleteTopic: (topic: string) => Effect.Effect<void, AdminError>
}

/** How often the name server is asked whether it knows a new topic by now, in milliseconds. */
const ROUTE_POLL_MILLIS = 50

/** Attributes as a request has them: `+message.type=FIFO,-cleanup.policy`. */
const attributesText = (attributes: Readonly<Record<string, string | undefined>>): { attributes?: string } => {
  const changes = Object.entries(attributes).map(([name, value]) =>
    value === undefined ? `-${name}` : `+${name}=${value}`
  )
  return changes.length === 0 ? {} : { attributes: changes.join(",") }
}

/** Makes the calls about topics. Source: RocketMQ `MQClientAPIImpl`, `DefaultMQAdminExtImpl`. */
export const make = (context: AdminContext): Topics => {
  const { instance, masters, mastersOf, routeOf, timeoutMillis, unwrapQueue } = context
  const { api, nameServer } = instance

  /** Waits until the route names all brokers, for as long as a request may take. Brokers register a new topic at once. */
  const awaitRoute = Effect.fnUntraced(function* (topic: string, brokers: ReadonlyArray<string>) {
    const clock = yield* Clock.Clock
    const now = monotonicMillis(clock)
    const deadline = now() + timeoutMillis
    for (;;) {
      const answer = yield* Effect.option(api.getTopicRouteInfo(topic, timeoutMillis))
      const known = new Set(answer._tag === "Some" ? (answer.value?.queueDatas ?? []).map((q) => q.brokerName) : [])
      if (brokers.every((name) => known.has(name))) return true
      if (now() + ROUTE_POLL_MILLIS > deadline) return false
      yield* Effect.sleep(ROUTE_POLL_MILLIS)
    }
  })

  const configOn = ({ address }: BrokerAddress, topic: string) =>
    Effect.flatMap(context.isModern(address), (modern) =>
      modern
        ? api
            .call(address, GetTopicConfig.request({ topic, lo: true }), timeoutMillis, GetTopicConfig.decodeResponse)
            .pipe(absentOn(ResponseCode.TOPIC_NOT_EXIST))
        : // Brokers before 5.0 tell all topics or none.
          Effect.map(
            api.call(address, GetAllTopicConfig.request({}), timeoutMillis, GetAllTopicConfig.decodeResponse),
            ({ topicConfigTable }) => topicConfigTable.get(context.wrap(topic))
          )
    )

  /**
   * The masters that have a topic which is to be created and stay as they are. Topics of the system are not looked for:
   * brokers refuse to create those in words of their own.
   */
  const existingOn = Effect.fnUntraced(function* (
    brokers: ReadonlyArray<BrokerAddress>,
    topic: string,
    ifExists: IfExists
  ) {
    if (ifExists === "replace" || isSystemTopic(topic)) return new Set<string>()
    const configs = yield* Effect.forEach(brokers, (broker) => configOn(broker, topic), {
      concurrency: BROKERS_AT_ONCE
    })
    const found = brokers.flatMap(({ brokerName }, index) => {
      const config = configs[index]
      return config === undefined ? [] : [{ brokerName, config }]
    })
    if (ifExists === "fail" && found.length > 0) {
      return yield* new TopicAlreadyExists({
        topic,
        brokers: found.map(
          ({ brokerName, config: { perm, readQueueNums, writeQueueNums } }) =>
            `${brokerName} (${readQueueNums} read, ${writeQueueNums} write queues, perm ${perm})`
        )
      })
    }
    return new Set(found.map(({ brokerName }) => brokerName))
  })

  const createTopic = Effect.fnUntraced(function* (
    options: CreateTopicOptions
  ): Effect.fn.Return<CreatedTopic, AdminError> {
    const { topic } = options
    const operation = `create topic ${topic}`
    const readQueueNums = options.readQueueNums ?? DEFAULT_TOPIC_QUEUE_NUMS
    const writeQueueNums = options.writeQueueNums ?? readQueueNums
    const perm = options.perm ?? PermName.READ | PermName.WRITE
    const ifExists = options.ifExists ?? "replace"
    const { brokers, clusterName } = yield* masters(options.clusterName).pipe(failing(operation))
    const kept = yield* existingOn(brokers, topic, ifExists).pipe(failing(operation))
    const done: Array<string> = [...kept]
    for (const { address, brokerName } of brokers) {
      if (kept.has(brokerName)) continue
      const request = CreateTopic.request({
        topic,
        defaultTopic: AUTO_CREATE_TOPIC_KEY_TOPIC,
        readQueueNums,
        writeQueueNums,
        perm,
        topicFilterType: "SINGLE_TAG",
        order: options.order ?? false,
        ...attributesText(options.attributes ?? {})
      })
      yield* api.call(address, request, timeoutMillis, CreateTopic.decodeResponse).pipe(failing(operation, done))
      done.push(brokerName)
    }
    const routed = yield* awaitRoute(topic, done)
    return { topic, clusterName, brokers, ...keptOf(ifExists, kept), readQueueNums, writeQueueNums, perm, routed }
  })

  const examineTopicConfig = Effect.fnUntraced(function* (topic: string) {
    const brokers = yield* mastersOf(topic)
    const configs = yield* Effect.forEach(brokers, (broker) => configOn(broker, topic), {
      concurrency: BROKERS_AT_ONCE
    })
    return brokers.flatMap((broker, index): ReadonlyArray<BrokerAddress & BrokerTopicConfig> => {
      const config = configs[index]
      return config === undefined ? [] : [{ ...broker, config: { ...config, topicName: topic } }]
    })
  })

  const updateTopic = Effect.fnUntraced(function* (
    options: UpdateTopicOptions
  ): Effect.fn.Return<ReadonlyArray<BrokerTopicConfig>, AdminError> {
    const { topic } = options
    const operation = `update topic ${topic}`
    const before = (yield* examineTopicConfig(topic).pipe(failing(operation))).filter(
      ({ brokerName }) => options.brokerName === undefined || options.brokerName === brokerName
    )
    if (before.length === 0) return yield* Effect.fail(new TopicNotFound({ topic })).pipe(failing(operation))
    const done: Array<string> = []
    for (const { address, brokerName, config } of before) {
      const request = CreateTopic.request({
        topic,
        defaultTopic: AUTO_CREATE_TOPIC_KEY_TOPIC,
        readQueueNums: options.readQueueNums ?? config.readQueueNums,
        writeQueueNums: options.writeQueueNums ?? config.writeQueueNums,
        perm: options.perm ?? config.perm,
        topicFilterType: config.topicFilterType,
        topicSysFlag: config.topicSysFlag,
        order: options.order ?? config.order,
        ...attributesText(options.attributes ?? {})
      })
      yield* api.call(address, request, timeoutMillis, CreateTopic.decodeResponse).pipe(failing(operation, done))
      done.push(brokerName)
    }
    return (yield* examineTopicConfig(topic).pipe(failing(operation))).map(({ brokerName, config }) => ({
      brokerName,
      config
    }))
  })

  const examineTopicStats = Effect.fnUntraced(function* (topic: string) {
    const tables = yield* gather(`the queues of topic ${topic}`, yield* mastersOf(topic), ({ address }, counted) =>
      api
        .call(address, GetTopicStats.request({ topic }), timeoutMillis, counted(GetTopicStats.decodeResponse))
        .pipe(absentOn(ResponseCode.TOPIC_NOT_EXIST))
    )
    const known = tables.filter((table) => table !== undefined)
    if (known.length === 0) return yield* new TopicNotFound({ topic })
    return known
      .flatMap(({ offsetTable }) => offsetTable.map(([queue, offset]) => ({ ...offset, queue: unwrapQueue(queue) })))
      .toSorted((a, b) => MessageQueues.compare(a.queue, b.queue))
  })

  const deleteTopic = Effect.fnUntraced(function* (topic: string): Effect.fn.Return<void, AdminError> {
    const operation = `delete topic ${topic}`
    const route = yield* api.getTopicRouteInfo(topic, timeoutMillis).pipe(failing(operation))
    const done: Array<string> = []
    const brokers = route === undefined ? [] : yield* mastersOf(topic).pipe(failing(operation))
    for (const { address, brokerName } of brokers) {
      yield* api
        .call(address, DeleteTopic.request({ topic }, "broker"), timeoutMillis, DeleteTopic.decodeResponse)
        .pipe(failing(operation, done))
      done.push(brokerName)
    }
    for (const address of yield* nameServer.each) {
      yield* api
        .call(address, DeleteTopic.request({ topic }, "namesrv"), timeoutMillis, DeleteTopic.decodeResponse)
        .pipe(failing(operation, done))
      done.push(address)
    }
  })

  return {
    fetchAllTopicList: api.callNameServer(GetTopicList.request(), timeoutMillis, GetTopicList.decodeResponse).pipe(
      Effect.map(({ topicList }) => topicList.filter(context.isOurs).map(context.unwrap).toSorted()),
      failing("list the topics")
    ),
    examineTopicRouteInfo: (topic) => routeOf(topic).pipe(failing(`read the route of topic ${topic}`)),
    examineTopicConfig: (topic) =>
      examineTopicConfig(topic).pipe(
        Effect.map((found) => found.map(({ brokerName, config }) => ({ brokerName, config }))),
        failing(`read the settings of topic ${topic}`)
      ),
    examineTopicStats: (topic) => examineTopicStats(topic).pipe(failing(`read the offsets of topic ${topic}`)),
    createTopic,
    updateTopic,
    deleteTopic
  }
}
