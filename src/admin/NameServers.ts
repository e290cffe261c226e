import { Effect } from "effect"
import { absentOn } from "../client/MQClientApi.ts"
import { isName } from "../client/RouteBounds.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import * as GetNamesrvConfig from "../protocol/request/GetNamesrvConfig.ts"
import * as KVConfig from "../protocol/request/KVConfig.ts"
import * as UpdateConfig from "../protocol/request/UpdateConfig.ts"
import * as WritePermOfBroker from "../protocol/request/WritePermOfBroker.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, InvalidOrderConf, UnknownBroker } from "./AdminError.ts"
import { type ChangedSetting, changesOf, known } from "./Settings.ts"

/** What one name server did about a broker's write permission. */
export interface WritePermission {
  /** `host:port` of the name server. */
  readonly nameServer: string
  /** How many topics of the broker it changed in its routes. */
  readonly topicCount: number
}

/** The settings of one name server. */
export interface NameServerConfig {
  /** `host:port` of the name server. */
  readonly nameServer: string
  /** Its settings, as text. */
  readonly config: ReadonlyMap<string, string>
}

/** What one name server made of settings that were to be changed. */
export interface NameServerChanges {
  /** `host:port` of the name server. */
  readonly nameServer: string
  /** Each setting as it was and as it is. */
  readonly changes: ReadonlyArray<ChangedSetting>
}

/** How many queues of each broker an ordered topic is sent to, by broker name. */
export type OrderConf = ReadonlyMap<string, number>

/**
 * The calls about name servers. Each of these keeps routes, settings and small texts for itself, so that what changes them is
 * told to every single one; the names are those of Java's `DefaultMQAdminExt`.
 */
export interface NameServers {
  /**
   * Takes the write permission of all topics of a broker out of the routes, so that producers leave it. The broker is not
   * asked, and what it has is read on. It lasts until {@link NameServers.addWritePermOfBroker}, or until the broker registers
   * a change of its topics, at its restart for instance.
   */
  readonly wipeWritePermOfBroker: (brokerName: string) => Effect.Effect<ReadonlyArray<WritePermission>, AdminError>
  /** Puts the write permission back that {@link NameServers.wipeWritePermOfBroker} took. */
  readonly addWritePermOfBroker: (brokerName: string) => Effect.Effect<ReadonlyArray<WritePermission>, AdminError>
  /** The settings of every name server, or of the one that is named by its `host:port`. */
  readonly getNameServerConfig: (nameServer?: string) => Effect.Effect<ReadonlyArray<NameServerConfig>, AdminError>
  /**
   * Changes settings of every name server, or of one, each of which writes them to its configuration file. A name that one of
   * them does not have fails with `UnknownSetting`, and nothing is changed on any.
   */
  readonly updateNameServerConfig: (
    settings: Readonly<Record<string, string>>,
    nameServer?: string
  ) => Effect.Effect<ReadonlyArray<NameServerChanges>, AdminError>
  /**
   * The order configuration of a topic, empty when there is none. It stands in the topic's route, and so reaches clients,
   * where the name server's `orderMessageEnable` is true.
   */
  readonly getOrderConf: (topic: string) => Effect.Effect<OrderConf, AdminError>
  /**
   * Sets how many queues of the named brokers an ordered topic is sent to, and leaves the other brokers of the configuration
   * as they are, unless `replace` is true; gives the whole. A broker without the topic, or without so many queues to write,
   * fails with `InvalidOrderConf`.
   */
  readonly createOrUpdateOrderConf: (
    topic: string,
    conf: Readonly<Record<string, number>>,
    options?: { readonly replace?: boolean | undefined }
  ) => Effect.Effect<OrderConf, AdminError>
  /** Deletes the order configuration of a topic. */
  readonly deleteOrderConf: (topic: string) => Effect.Effect<void, AdminError>
}

/** The name servers' own place for it. Source: RocketMQ `NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG`. */
const NAMESPACE = "ORDER_TOPIC_CONFIG"

/** Reads `broker-a:4;broker-b:4`; a part that says nothing is left out. */
const parsed = (text: string | undefined): OrderConf =>
  new Map(
    (text ?? "").split(";").flatMap((part) => {
      const [, broker = "", queues] = /^(.+):(\d{1,9})$/.exec(part.trim()) ?? []
      return isName(broker) && queues !== undefined ? [[broker, Number(queues)] as const] : []
    })
  )

const written = (conf: OrderConf): string =>
  [...conf]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([broker, queues]) => `${broker}:${queues}`)
    .join(";")

/** Makes the calls about name servers. Source: RocketMQ `DefaultMQAdminExtImpl`. */
export const make = ({ instance, routeOf, timeoutMillis, wrap }: AdminContext): NameServers => {
  const { api, nameServer } = instance

  const servers = (one: string | undefined) => (one === undefined ? nameServer.each : Effect.succeed([one]))

  const setWritable = Effect.fnUntraced(function* (
    brokerName: string,
    writable: boolean
  ): Effect.fn.Return<ReadonlyArray<WritePermission>, AdminError> {
    const operation = `make broker ${brokerName} ${writable ? "writable" : "unwritable"}`
    const { brokerAddrTable } = yield* api
      .callNameServer(GetBrokerClusterInfo.request(), timeoutMillis, GetBrokerClusterInfo.decodeResponse)
      .pipe(failing(operation))
    // A name server counts 0 topics of a broker that it does not know, and says yes.
    if (!brokerAddrTable.has(brokerName)) {
      const brokers = [...brokerAddrTable.keys()].filter(isName).toSorted()
      return yield* failing(operation)(Effect.fail(new UnknownBroker({ brokerName, brokers })))
    }
    const told: Array<WritePermission> = []
    for (const address of yield* nameServer.each) {
      const { topicCount } = yield* api
        .call(
          address,
          WritePermOfBroker.request({ brokerName, writable }),
          timeoutMillis,
          WritePermOfBroker.decodeResponse
        )
        .pipe(
          failing(
            operation,
            told.map((one) => one.nameServer)
          )
        )
      told.push({ nameServer: address, topicCount })
    }
    return told
  })

  const configOf = (address: string) =>
    Effect.map(
      api.call(address, GetNamesrvConfig.request(), timeoutMillis, GetNamesrvConfig.decodeResponse),
      (config): NameServerConfig => ({ nameServer: address, config })
    )

  const configs = (one: string | undefined) => Effect.flatMap(servers(one), Effect.forEach(configOf))

  const update = Effect.fnUntraced(function* (
    settings: Readonly<Record<string, string>>,
    one: string | undefined
  ): Effect.fn.Return<ReadonlyArray<NameServerChanges>, AdminError> {
    const operation = "change settings of the name servers"
    const before = yield* configs(one).pipe(failing(operation))
    for (const { config, nameServer: address } of before) {
      yield* known(`Name server ${address}`, config, settings).pipe(failing(operation))
    }
    const request = UpdateConfig.request(new Map(Object.entries(settings)), "namesrv")
    const changed: Array<NameServerChanges> = []
    for (const { config, nameServer: address } of before) {
      const after = yield* Effect.andThen(
        api.call(address, request, timeoutMillis, UpdateConfig.decodeResponse),
        configOf(address)
      ).pipe(
        failing(
          operation,
          changed.map((server) => server.nameServer)
        )
      )
      changed.push({ nameServer: address, changes: changesOf(settings, config, after.config) })
    }
    return changed
  })

  const orderConf = (topic: string) =>
    nameServer.each.pipe(
      Effect.flatMap(
        Effect.forEach((address) =>
          api
            .call(
              address,
              KVConfig.request({ operation: "get", namespace: NAMESPACE, key: wrap(topic) }),
              timeoutMillis,
              KVConfig.decodeResponse
            )
            .pipe(absentOn(ResponseCode.QUERY_NOT_FOUND))
        )
      ),
      // They have the same, unless one was away when it was written.
      Effect.map((texts) => parsed(texts.find((text) => text !== undefined)))
    )

  /** Writes to every name server, an absent text deletes. */
  const putOrderConf = Effect.fnUntraced(function* (
    operation: string,
    topic: string,
    value: string | undefined
  ): Effect.fn.Return<void, AdminError> {
    const key = { namespace: NAMESPACE, key: wrap(topic) }
    const request = KVConfig.request(
      value === undefined ? { operation: "delete", ...key } : { operation: "put", ...key, value }
    )
    const done: Array<string> = []
    for (const address of yield* nameServer.each) {
      yield* api.call(address, request, timeoutMillis, () => undefined).pipe(failing(operation, done))
      done.push(address)
    }
  })

  /** What does not fit the topic, as words. */
  const misfit = Effect.fnUntraced(function* (topic: string, conf: Readonly<Record<string, number>>) {
    const { queueDatas } = yield* routeOf(topic)
    const queues = new Map(queueDatas.map(({ brokerName, writeQueueNums }) => [brokerName, writeQueueNums]))
    for (const [broker, number] of Object.entries(conf)) {
      const there = queues.get(broker)
      if (there === undefined) return `broker ${broker} does not have the topic`
      if (!Number.isInteger(number) || number < 1 || number > there) {
        return `broker ${broker} has ${there} queues of it to write, and ${number} were named`
      }
    }
    return Object.keys(conf).length === 0 ? "no broker was named" : undefined
  })

  const updateOrderConf = Effect.fnUntraced(function* (
    topic: string,
    conf: Readonly<Record<string, number>>,
    replace: boolean
  ): Effect.fn.Return<OrderConf, AdminError> {
    const operation = `set the order configuration of topic ${topic}`
    const problem = yield* misfit(topic, conf).pipe(failing(operation))
    if (problem !== undefined) {
      return yield* failing(operation)(Effect.fail(new InvalidOrderConf({ topic, problem })))
    }
    const before = replace ? new Map<string, number>() : yield* orderConf(topic).pipe(failing(operation))
    const after = new Map([...before, ...Object.entries(conf)])
    yield* putOrderConf(operation, topic, written(after))
    return after
  })

  return {
    wipeWritePermOfBroker: (brokerName) => setWritable(brokerName, false),
    addWritePermOfBroker: (brokerName) => setWritable(brokerName, true),
    getNameServerConfig: (one) => configs(one).pipe(failing("read the settings of the name servers")),
    updateNameServerConfig: update,
    getOrderConf: (topic) => orderConf(topic).pipe(failing(`read the order configuration of topic ${topic}`)),
    createOrUpdateOrderConf: (topic, conf, { replace = false } = {}) => updateOrderConf(topic, conf, replace),
    deleteOrderConf: (topic) => putOrderConf(`delete the order configuration of topic ${topic}`, topic, undefined)
  }
}
