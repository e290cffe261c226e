import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Scope } from "effect"
import * as ClientTable from "../../../src/embedded/broker/ClientTable.ts"
import * as RebalanceLocks from "../../../src/embedded/broker/RebalanceLocks.ts"
import * as KVConfig from "../../../src/embedded/nameserver/KVConfig.ts"
import * as Limits from "../../../src/embedded/server/Limits.ts"
import { counters } from "../../../src/embedded/server/LiveCounters.ts"
import * as RemotingServer from "../../../src/embedded/server/RemotingServer.ts"
import * as BrokerConfig from "../../../src/embedded/store/BrokerConfig.ts"
import * as ConsumerOffsets from "../../../src/embedded/store/ConsumerOffsets.ts"
import * as SubscriptionGroups from "../../../src/embedded/store/SubscriptionGroups.ts"
import * as TopicTable from "../../../src/embedded/store/TopicTable.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import { emptyBody, type Request } from "../../../src/protocol/RemotingCommand.ts"
import * as CreateTopic from "../../../src/protocol/request/CreateTopic.ts"
import * as KVConfigRequest from "../../../src/protocol/request/KVConfig.ts"
import * as RegisterBroker from "../../../src/protocol/request/RegisterBroker.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import type { ByteStream } from "../../../src/transport/Wire.ts"
import * as TcpWire from "../../../src/transport/TcpWire.ts"
import { Wire } from "../../../src/transport/Wire.ts"
import { make as makeCertificates } from "../../support/certificates.ts"
import { requestFrame, wires } from "../../transport/support.ts"
import { brokerAddress, namesrvAddress, pullHeader, rawClient, sendRequest } from "../support.ts"

const address = "127.0.0.1:0"

/** Keeps what is logged. */
const logged = () => {
  const lines: Array<string> = []
  return {
    lines,
    layer: Logger.layer([Logger.make(({ message }) => lines.push([message].flat().map(String).join(" ")))])
  }
}

/** Reads until the stream ends; gives how many bytes came. */
const readAll = (stream: ByteStream) =>
  Effect.gen(function* () {
    let bytes = 0
    yield* Effect.ignore(
      Effect.forever(
        Effect.map(stream.pull, (chunks) => {
          for (const chunk of chunks) bytes += chunk.length
        })
      )
    )
    return bytes
  })

/** A connection of which nothing is asked. */
const channel = (id: number) => ({
  id,
  remoteAddress: "127.0.0.1:1",
  localAddress: "127.0.0.1:2",
  send: () => Effect.void,
  invoke: () => Effect.never,
  writable: Effect.void,
  close: Effect.void
})

describe.each(wires)("what one connection can have a server keep, on $name", { timeout: 120_000 }, ({ layer }) => {
  it.live("A51: requests that are not answered: the connection is closed, and says why", () => {
    const { layer: logger, lines } = logged()
    return Effect.gen(function* () {
      const wire = yield* Wire
      const count = { handled: 0 }
      const server = yield* RemotingServer.listen({
        address,
        handler: () => {
          count.handled++
          return Effect.never
        }
      })
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      const frames = Buffer.concat(
        Array.from({ length: Limits.MAX_REQUESTS_OF_CONNECTION + 1 }, (_, n) => requestFrame(n, 1))
      )
      yield* Effect.forkChild(Effect.ignore(stream.write([frames])), { startImmediately: true })
      yield* readAll(stream)
      assert.strictEqual(count.handled, Limits.MAX_REQUESTS_OF_CONNECTION)
      assert.match(lines.join("\n"), /closed a connection: .* has 32768 requests under way on one connection/)
      assert.deepStrictEqual(yield* server.channels, [])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layer, logger)))
  })

  it.live("requests that all connections together have under way: more are answered SYSTEM_BUSY", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const gate = yield* Deferred.make<void>()
      const count = { handled: 0 }
      const server = yield* RemotingServer.listen({
        address,
        handler: () => {
          count.handled++
          return Effect.as(Deferred.await(gate), { code: 0 })
        }
      })
      const frames = Buffer.concat(
        Array.from({ length: Limits.MAX_REQUESTS_OF_CONNECTION }, (_, n) => requestFrame(n, 1))
      )
      const open = wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      for (let n = 0; n < Limits.MAX_REQUESTS / Limits.MAX_REQUESTS_OF_CONNECTION; n++) {
        const stream = yield* open
        yield* stream.write([frames])
      }
      while (count.handled < Limits.MAX_REQUESTS) yield* Effect.sleep(5)
      const late = yield* open
      yield* late.write([requestFrame(1, 1)])
      const answer = Buffer.concat(yield* late.pull).toString()
      assert.match(answer, /"code":2\b/)
      assert.include(answer, "[OVERLOAD]system busy")
      yield* Deferred.succeed(gate, undefined)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("A51: answers that were begun and are not read: the connection is closed, and says why", () => {
    const { layer: logger, lines } = logged()
    return Effect.gen(function* () {
      const wire = yield* Wire
      const gate = yield* Deferred.make<void>()
      const body = new Uint8Array(1024 * 1024)
      const count = { begun: 0 }
      const server = yield* RemotingServer.listen({
        address,
        handler: () => {
          count.begun++
          return Effect.as(Deferred.await(gate), { code: 0, body })
        }
      })
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      yield* stream.write([Buffer.concat(Array.from({ length: 100 }, (_, n) => requestFrame(n, 1)))])
      while (count.begun < 100) yield* Effect.sleep(5)
      yield* Deferred.succeed(gate, undefined)
      while ((yield* server.channels).length > 0) yield* Effect.sleep(5)
      assert.match(lines.join("\n"), /sends requests and does not read the answers/)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layer, logger)))
  })

  it.live("a burst of requests with large answers: no more is answered than is read", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const body = new Uint8Array(256 * 1024)
      const count = { handled: 0 }
      const server = yield* RemotingServer.listen({
        address,
        handler: () =>
          Effect.sync(() => {
            count.handled++
            return { code: 0, body }
          })
      })
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      yield* stream.write([Buffer.concat(Array.from({ length: 1_000 }, (_, n) => requestFrame(n, 1)))])
      for (let before = -1; before !== count.handled; yield* Effect.sleep(200)) before = count.handled
      assert.isBelow(count.handled, 100)
      const reading = yield* Effect.forkChild(readAll(stream), { startImmediately: true })
      while (count.handled < 1_000) yield* Effect.sleep(5)
      assert.strictEqual(reading.pollUnsafe(), undefined)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe.each(wires)("what all connections can have a server keep, on $name", { timeout: 120_000 }, ({ layer }) => {
  const MIB = 1024 * 1024

  it.live("A51: connections: another one is closed at once, and the first of them is told", () => {
    const { layer: logger, lines } = logged()
    return Effect.gen(function* () {
      const wire = yield* Wire
      const server = yield* RemotingServer.listen({
        address,
        maxConnections: 3,
        handler: () => Effect.succeed({ code: 0 })
      })
      const open = wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      const answered = Effect.fnUntraced(function* (stream: ByteStream) {
        yield* stream.write([requestFrame(1, 1)])
        yield* stream.pull
      })
      const scope = yield* Scope.make()
      yield* Effect.flatMap(Scope.provide(open, scope), answered)
      for (let n = 0; n < 2; n++) yield* Effect.flatMap(open, answered)
      for (let n = 0; n < 3; n++) assert.strictEqual(yield* Effect.flatMap(open, readAll), 0)
      assert.strictEqual(lines.length, 1)
      assert.match(lines.join(), /closed a connection of 127\.0\.0\.1:\d+, and closes more: 3 are open/)
      // One that ends makes room.
      yield* Scope.close(scope, Exit.void)
      while ((yield* server.channels).length > 2) yield* Effect.sleep(5)
      yield* Effect.flatMap(open, answered)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layer, logger)))
  })

  it.live("A51: bytes, of whatever kind: the connection that has most is closed, and says why", () => {
    const { layer: logger, lines } = logged()
    return Effect.gen(function* () {
      const wire = yield* Wire
      const count = { begun: 0 }
      const server = yield* RemotingServer.listen({
        address,
        maxHeldBytes: 16 * MIB,
        handler: (command) =>
          command.code === 1
            ? Effect.succeed({ code: 0, body: new Uint8Array(MIB) })
            : Effect.suspend(() => {
                count.begun++
                return Effect.never
              })
      })
      const open = wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      // Bodies of requests that nobody answers, unread answers, and a frame without its end.
      const asking = yield* open
      for (let n = 0; n < 3; n++)
        yield* asking.write([encoded({ code: 2, extFields: undefined, body: new Uint8Array(MIB) }, n)])
      while (count.begun < 3) yield* Effect.sleep(5)
      const reading = yield* open
      yield* reading.write([Buffer.concat(Array.from({ length: 3 }, (_, n) => requestFrame(n, 1)))])
      const half = encoded({ code: 2, extFields: undefined, body: new Uint8Array(16 * MIB - 1_000) }, 1)
      const cut = yield* open
      assert.deepStrictEqual(lines, [])
      while ((yield* server.channels).length < 3) yield* Effect.sleep(5)
      yield* Effect.ignore(cut.write([half.subarray(0, 15 * MIB)]))
      while ((yield* server.channels).length > 2) yield* Effect.sleep(5)
      assert.match(lines.join(), /closed a connection: the connections have \d+ bytes .* has most of all/)
      assert.strictEqual(yield* readAll(cut), 0)
      // The others go on.
      yield* asking.write([requestFrame(7, 1)])
      yield* asking.pull
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layer, logger)))
  })
})

describe("what TLS clients can have a server keep", () => {
  it.live("A51: handshakes under way: another connection is closed at once", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const certificate = yield* Effect.flatMap(makeCertificates, ({ selfSigned }) => selfSigned())
      const server = yield* RemotingServer.listen({
        address,
        maxConnections: 2,
        tls: { cert: certificate.cert, key: certificate.key },
        handler: () => Effect.succeed({ code: 0 })
      })
      const open = wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      const silent = yield* Effect.all(Array.from({ length: 4 }, () => open))
      assert.strictEqual(yield* Effect.flatMap(open, readAll), 0)
      assert.strictEqual(silent.length, 4)
    }).pipe(Effect.scoped, Effect.provide(TcpWire.layer))
  )
})

const encoded = (request: Request, opaque: number) =>
  encode({
    code: request.code,
    language: "OTHER",
    version: 513,
    opaque,
    flag: 0,
    remark: undefined,
    extFields: request.extFields,
    body: request.body ?? emptyBody,
    serializeType: "JSON"
  })

describe("what peers can have a broker keep", () => {
  it.effect("one message wakes the held pulls of a client that does not read as far as it reads", () => {
    const { layer: logger, lines } = logged()
    return Effect.gen(function* () {
      const wire = yield* Wire
      const broker = yield* brokerAddress()
      const raw = yield* rawClient()
      const sysFlag = PullMessage.PullSysFlag.SUSPEND | PullMessage.PullSysFlag.SUBSCRIPTION
      const pull = PullMessage.request(pullHeader({ sysFlag, suspendTimeoutMillis: 15_000 }))
      const stream = yield* wire.connect(broker, { connectTimeoutMillis: 5_000 })
      yield* stream.write([Buffer.concat(Array.from({ length: 1_000 }, (_, n) => encoded(pull, n)))])
      while (counters.heldPulls < 1_000) yield* Effect.yieldNow
      yield* raw.call(broker, sendRequest({}, new Uint8Array(256 * 1024)))
      for (let n = 0; n < 1_000; n++) yield* Effect.yieldNow
      const first = Buffer.concat(yield* stream.pull)
      assert.isAbove(first.length, 8 * 1024 * 1024)
      assert.isBelow(first.length, 10 * 1024 * 1024)
      let bytes = first.length
      while (bytes < 1_000 * 256 * 1024) for (const chunk of yield* stream.pull) bytes += chunk.length
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(EmbeddedCluster.layerMemory({ topics: { orders: {} } }), logger)))
  })

  it.effect("A51: queues of a topic and retry queues of a group", () =>
    Effect.gen(function* () {
      const broker = yield* brokerAddress()
      const raw = yield* rawClient()
      const many = {
        topic: "many",
        defaultTopic: "TBW102",
        readQueueNums: Limits.MAX_QUEUES,
        writeQueueNums: Limits.MAX_QUEUES,
        perm: 6,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: false
      }
      assert.strictEqual((yield* raw.call(broker, CreateTopic.request(many))).code, 0)
      const tooMany = yield* raw.call(broker, CreateTopic.request({ ...many, writeQueueNums: 2_147_483_647 }))
      assert.deepInclude(tooMany, {
        code: 1,
        remark: "an embedded server keeps 65536 queues of topic many at most, and this would be 2147483647"
      })
      const config = SubscriptionGroup.makeConfig({ groupName: "readers", retryQueueNums: 2_147_483_647 })
      const group = yield* raw.call(broker, SubscriptionGroup.request({ operation: "update", config }))
      assert.strictEqual(group.code, 1)
      assert.include(group.remark, "65536 retry queues of group readers")
    }).pipe(Effect.scoped, Effect.provide(EmbeddedCluster.layerMemory()))
  )

  it("topics that sends create", () => {
    const table = TopicTable.make({
      clusterName: "c",
      brokerName: "b",
      config: BrokerConfig.make(),
      now: () => 0,
      onChange: () => undefined
    })
    const send = (topic: string) =>
      table.forSend({ topic, defaultTopic: "TBW102", defaultTopicQueueNums: 4, unitMode: false })
    for (let n = table.all().length; n < Limits.MAX_TOPICS; n++) assert.isDefined(send(`topic-${n}`))
    assert.isUndefined(send("one-more"))
    assert.isUndefined(send("%RETRY%one-more"))
    assert.isDefined(send(`topic-${Limits.MAX_TOPICS - 1}`))
  })

  it("groups", () => {
    const groups = SubscriptionGroups.make({ config: BrokerConfig.make(), now: () => 0 })
    for (let n = groups.all().length; n < Limits.MAX_GROUPS; n++) assert.isDefined(groups.find(`group-${n}`))
    assert.isUndefined(groups.find("one-more"))
  })

  const NAME = "n".repeat(1024 * 1024)

  const queues = (count: number) =>
    Array.from({ length: count }, (_, queueId) => ({ topic: NAME, brokerName: "b", queueId: queueId + 100 }))

  it("A51: offsets, by the size of their names", () => {
    const offsets = ConsumerOffsets.make()
    const room = Math.floor(Limits.MAX_TABLE_SIZE / (NAME.length + 1 + Limits.ENTRY_SIZE))
    for (let n = 0; n < room; n++) assert.isTrue(offsets.commit(NAME, "t", n, 1))
    assert.isFalse(offsets.commit(NAME, "t", room, 1))
    assert.isTrue(offsets.commit(NAME, "t", 0, 2))
    offsets.deleteGroup(NAME)
    assert.isTrue(offsets.commit(NAME, "t", room, 1))
    offsets.deleteTopic("t")
    for (let n = 0; n < room; n++) assert.isTrue(offsets.commit(NAME, "t", n, 1))
  })

  it("clients, by the size of their names and subscriptions, of which those that are gone make room", () => {
    const clients = ClientTable.make({ keepEmptyProducerGroups: false })
    const beat = (id: number, producer: boolean) => {
      const subscription = {
        topic: "t",
        subString: NAME,
        tagsSet: [],
        codeSet: [],
        subVersion: 1,
        expressionType: "TAG",
        classFilterMode: false
      }
      const consumer = {
        groupName: `g-${id}`,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: [subscription]
      }
      const data = {
        clientID: "c",
        producerDataSet: producer ? [{ groupName: `${NAME}-${id}` }] : [],
        consumerDataSet: producer ? [] : [consumer],
        heartbeatFingerprint: 0,
        withoutSub: false
      }
      return clients.heartbeat({ channel: channel(id), language: "JAVA", version: 1 }, data, 0)
    }
    const room = Math.floor(Limits.MAX_TABLE_SIZE / (NAME.length + 1_000))
    for (let id = 0; id < room; id++) assert.isDefined(beat(id, id % 2 === 0))
    for (const producer of [true, false]) assert.isUndefined(beat(room + 1, producer))
    assert.isUndefined(clients.consumerGroup(`g-${room + 1}`))
    // Heartbeats that bring nothing new do not fill it.
    clients.closed(channel(0))
    for (let n = 0; n < 200; n++) assert.isDefined(beat(1, false))
    clients.closed(channel(1))
    assert.isDefined(beat(room + 1, true))
  })

  it("locks, of which those that nobody renews make room", () => {
    const locks = RebalanceLocks.make()
    const granted = locks.lock("g", "c", queues(70), 0).length
    assert.isAbove(granted, 60)
    assert.isBelow(granted, 64)
    assert.strictEqual(locks.lock("g", "c", queues(70), 1).length, granted)
    assert.strictEqual(locks.lock("h", "c", queues(70), 1).length, 0)
    assert.strictEqual(locks.lock("h", "c", queues(70), RebalanceLocks.LOCK_MAX_LIVE_MILLIS + 2).length, granted)
    locks.unlock("h", "c", queues(1))
    assert.strictEqual(locks.lock("i", "c", queues(2), RebalanceLocks.LOCK_MAX_LIVE_MILLIS + 2).length, 1)
  })
})

describe("what peers can have a name server keep", () => {
  it("values, by their size", () => {
    const kv = KVConfig.make()
    const half = "v".repeat(Limits.MAX_KV_SIZE / 2)
    assert.isTrue(kv.put("n", "a", half))
    assert.isFalse(kv.put("n", "b", half))
    assert.isTrue(kv.put("n", "a", half))
    kv.remove("n", "a")
    assert.isTrue(kv.put("n", "b", half))
  })

  it.effect("registrations of brokers, and what they bring", () =>
    Effect.gen(function* () {
      const namesrv = yield* namesrvAddress
      const raw = yield* rawClient()
      const topic = TopicTable.topicConfig("foreign")
      const register = (n: number, topics: ReadonlyArray<typeof topic> = [], clusterName = "other") =>
        raw.call(
          namesrv,
          RegisterBroker.request(
            {
              brokerName: `foreign-${n}`,
              brokerAddr: `10.0.0.1:${n}`,
              clusterName,
              haServerAddr: "",
              brokerId: 0
            },
            {
              topicConfigSerializeWrapper: {
                dataVersion: { stateVersion: 0, timestamp: 0, counter: 1 },
                topicConfigTable: new Map(topics.map((one) => [one.topicName, one]))
              },
              filterServerList: []
            }
          )
        )
      assert.strictEqual((yield* register(0, [topic])).code, 0)
      for (const [topics, cluster, told] of [
        [[{ ...topic, readQueueNums: Limits.MAX_QUEUES + 1 }], "other", "65536 queues of a topic"],
        [[{ ...topic, topicName: "t".repeat(256) }], "other", "255 characters of a name"],
        [[], "c".repeat(256), "255 characters of a name"]
      ] as const) {
        const refused = yield* register(1, topics, cluster)
        assert.strictEqual(refused.code, 1)
        assert.include(refused.remark, told)
      }
      for (let n = 1; n < Limits.MAX_BROKERS; n++) assert.strictEqual((yield* register(n)).code, 0)
      const late = yield* register(Limits.MAX_BROKERS)
      assert.deepInclude(late, {
        code: 1,
        remark: "an embedded server keeps 4096 brokers at most, and this would be 4097"
      })
      assert.strictEqual((yield* register(0)).code, 0)
      const value = "v".repeat(Limits.MAX_KV_SIZE / 4)
      const put = (key: string) =>
        raw.call(namesrv, KVConfigRequest.request({ operation: "put", namespace: "n", key, value }))
      for (const key of ["a", "b", "c"]) assert.strictEqual((yield* put(key)).code, 0)
      assert.deepInclude(yield* put("d"), { code: 1, remark: "an embedded name server has no room for this value" })
    }).pipe(Effect.scoped, Effect.provide(EmbeddedCluster.layerMemory()))
  )
})
