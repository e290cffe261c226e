import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { rpcHook } from "../../src/client/InstanceRemoting.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as NamespaceRpcHook from "../../src/client/NamespaceRpcHook.ts"
import { vipAddress } from "../../src/client/VipChannel.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import type { MessageExt, StoredFields } from "../../src/message/MessageExt.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import * as HeartbeatData from "../../src/protocol/HeartbeatData.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import { emptyBody, type RemotingCommand, type Request } from "../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { golden } from "../protocol/goldenFrames.ts"
import { advance, failureOf, onMemory, settle, startProducer, text, timed, until } from "../support/rig.ts"

const namespace = "MQ_INST_1_x"
const wrapped = (name: string) => `${namespace}%${name}`
const cluster = { topics: { [wrapped("orders")]: {} }, recordTraffic: { bodies: true } }

const NO_SYNC = "a hook without credentials is synchronous"

/** A request as the hook of such a client sends it. */
const sent = (options: Partial<ClientConfig.ClientConfig>, request: Request): Request => {
  const after = rpcHook({ ...ClientConfig.defaults, ...options })?.doBeforeRequest?.("127.0.0.1:10911", request)
  if (after === undefined || Effect.isEffect(after)) throw new Error(NO_SYNC)
  return after
}

const fieldsOf = (name: string) => golden(name).decoded.header.extFields ?? {}

const start = (producerGroup: string, given: Partial<ClientConfig.ClientConfig>) =>
  startProducer({ producerGroup, instanceName: "one", readiness: "lazy", ...given })

const problems = (given: Partial<ClientConfig.ClientConfig>) =>
  ClientConfig.resolve(given).problems.map(({ path }) => path)

describe("namespace", () => {
  it("a send becomes the recorded one of the Java client", () => {
    const recorded = fieldsOf("send-v2-request-namespace-v1")
    const extFields = {
      ...recorded,
      a: "facts-ns-pg",
      b: "facts-t9969",
      i: (recorded["i"] ?? "").replace(`INSTANCE_ID\u0001${namespace}\u0002`, "")
    }
    const request: Request = { code: RequestCode.SEND_MESSAGE_V2, extFields }
    const once = sent({ namespace }, request)
    assert.deepStrictEqual(once.extFields, recorded)
    assert.deepStrictEqual(sent({ namespace }, once).extFields, recorded)
    assert.strictEqual(request.extFields?.["a"], "facts-ns-pg")
  })

  it("and with namespaceV2 too", () => {
    const recorded = fieldsOf("send-v2-request-namespace-v2")
    const { ns: _ns, nsd: _nsd, ...extFields } = recorded
    assert.deepStrictEqual(sent({ namespaceV2: "nsv2" }, { code: 310, extFields }).extFields, recorded)
    assert.deepStrictEqual(sent({ namespaceV2: "nsv2" }, { code: 34, extFields: undefined }).extFields, {
      nsd: "true",
      ns: "nsv2"
    })
  })

  it("a property whose name only ends like RocketMQ's own is none of it", () => {
    const properties = "MY_INSTANCE_ID\u0001mine\u0002"
    const { extFields } = NamespaceRpcHook.wrapRequest(namespace, { code: 310, extFields: { b: "t", i: properties } })
    assert.strictEqual(extFields?.["i"], `${properties}INSTANCE_ID\u0001${namespace}\u0002`)
  })

  it("the group in a half message's properties has it, what is RocketMQ's own has it not", () => {
    const properties = "TRAN_MSG\u0001true\u0002PGROUP\u0001pg\u0002"
    const half = NamespaceRpcHook.wrapRequest(namespace, { code: 310, extFields: { a: "pg", b: "t", i: properties } })
    assert.include(half.extFields?.["i"] ?? "", `PGROUP\u0001${wrapped("pg")}\u0002`)
    const lookup = NamespaceRpcHook.wrapRequest(namespace, {
      code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
      extFields: { topic: "TBW102" }
    })
    assert.strictEqual(lookup.extFields?.["topic"], "TBW102")
    const retry = NamespaceRpcHook.wrapRequest(namespace, { code: 105, extFields: { topic: "%RETRY%cg" } })
    assert.strictEqual(retry.extFields?.["topic"], `%RETRY%${wrapped("cg")}`)
  })

  it("what a server asks arrives without it", () => {
    const message: Omit<StoredFields, "storeSize" | "bodyCRC"> = {
      topic: wrapped("orders"),
      body: Buffer.from("half"),
      properties: { PGROUP: wrapped("pg"), KEYS: "k" },
      flag: 0,
      queueId: 1,
      queueOffset: 2,
      commitLogOffset: 3,
      sysFlag: SysFlag.TRANSACTION_PREPARED,
      bornTimestamp: 4,
      bornHost: "127.0.0.1:5",
      storeTimestamp: 6,
      storeHost: "127.0.0.1:7",
      reconsumeTimes: 0,
      preparedTransactionOffset: 8
    }
    const command: RemotingCommand = {
      code: RequestCode.CHECK_TRANSACTION_STATE,
      language: "JAVA",
      version: 513,
      opaque: 1,
      flag: 2,
      remark: undefined,
      extFields: { topic: wrapped("orders"), commitLogOffset: "3" },
      body: MessageCodec.encode(message),
      serializeType: "JSON"
    }
    const read = NamespaceRpcHook.unwrapPush(namespace, command)
    assert.deepStrictEqual(read.extFields, { topic: "orders", commitLogOffset: "3" })
    const { messages } = MessageCodec.decodeAll(read.body)
    assert.strictEqual(messages[0]?.topic, "orders")
    assert.deepStrictEqual({ ...messages[0]?.properties }, { PGROUP: "pg", KEYS: "k" })
    assert.deepStrictEqual(messages[0]?.body, new Uint8Array(message.body))
    assert.strictEqual(NamespaceRpcHook.unwrapPush(namespace, { ...command, body: emptyBody }).body.length, 0)
  })

  it.effect("is on the wire everywhere, and nowhere else", () =>
    Effect.gen(function* () {
      const { clients, messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespace, readiness: "registered", topics: ["orders"] })
      const result = yield* producer.send(text("orders"))
      yield* producer.sendOneway(text("orders"))
      assert.strictEqual(result.queue.topic, "orders")
      const stored = yield* messages(wrapped("orders"))
      assert.strictEqual(stored[0]?.properties["INSTANCE_ID"], namespace)
      assert.strictEqual((yield* messages("orders")).length, 0)
      yield* TestClock.adjust(31_000)
      yield* settle
      assert.includeMembers(
        (yield* clients).map(({ group }) => group),
        [wrapped("pg"), "CLIENT_INNER_PRODUCER"]
      )
      for (const { body, code, codeName, extFields, topic } of yield* traffic.all) {
        if (code === RequestCode.HEART_BEAT) {
          const data = HeartbeatData.decode(body ?? emptyBody)
          if ("_tag" in data) throw data
          assert.includeMembers(
            data.producerDataSet.map(({ groupName }) => groupName),
            [wrapped("pg")]
          )
        }
        if (topic !== undefined) assert.include([wrapped("orders"), "TBW102"], topic, codeName)
        if (extFields?.["producerGroup"] !== undefined) {
          assert.include([wrapped("pg"), "CLIENT_INNER_PRODUCER"], extFields["producerGroup"])
        }
      }
      const state = yield* producer.state
      assert.notInclude(JSON.stringify(state), namespace)
      assert.includeMembers([...state.topics], ["orders"])
      const queues = yield* producer.fetchPublishMessageQueues(wrapped("orders"))
      assert.isTrue(queues.every(({ topic }) => topic === "orders"))
      yield* producer.send(text("orders"), { queue: queues[0] })
    }).pipe(onMemory(cluster))
  )

  it.effect("names that carry it already mean the same", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespace, producerGroup: wrapped("pg"), topics: [wrapped("orders")] })
      const message = Message.make({ topic: wrapped("orders"), body: "x" })
      const result = yield* producer.send(message)
      assert.strictEqual(result.queue.topic, "orders")
      assert.strictEqual(message.topic, wrapped("orders"))
      assert.strictEqual((yield* messages(wrapped("orders"))).length, 1)
      const [request] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.strictEqual(request?.extFields?.["a"], wrapped("pg"))
      assert.strictEqual(producer.producerGroup, "pg")
    }).pipe(onMemory(cluster))
  )

  it.effect("a topic that a send creates is created with it", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespace })
      const result = yield* producer.send(text("fresh"))
      assert.isTrue(result.borrowedRoute)
      assert.strictEqual((yield* messages(wrapped("fresh"))).length, 1)
    }).pipe(onMemory(cluster))
  )

  it.effect("batches carry it too", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespace })
      const { results } = yield* producer.sendBatch([text("orders", "1"), text("orders", "2")])
      assert.deepStrictEqual(
        results.map(({ queue }) => queue.topic),
        ["orders", "orders"]
      )
      assert.strictEqual((yield* messages(wrapped("orders"))).length, 2)
    }).pipe(onMemory(cluster))
  )

  for (const producerGroup of ["tx", wrapped("tx")]) {
    it.effect(`a transaction of group ${producerGroup} is checked and committed`, () =>
      Effect.gen(function* () {
        const { messages, namesrvAddr, traffic } = yield* EmbeddedCluster
        const checked: Array<MessageExt> = []
        const producer = yield* TransactionMQProducer.make({
          producerGroup,
          namesrvAddr,
          namespace,
          checkLocalTransaction: (message) => {
            checked.push(message)
            return Effect.succeed("COMMIT_MESSAGE")
          }
        })
        yield* producer.start
        yield* Effect.addFinalizer(() => producer.shutdown)
        yield* Effect.exit(producer.transaction(text("orders"), Effect.die("crash")))
        yield* advance(20_000, 500)
        assert.deepStrictEqual(
          checked.map(({ properties, topic }) => [topic, properties["PGROUP"]]),
          [["orders", "tx"]]
        )
        assert.strictEqual((yield* messages(wrapped("orders"))).length, 1)
        for (const { extFields } of yield* traffic.ofCode(RequestCode.END_TRANSACTION)) {
          assert.strictEqual(extFields?.["producerGroup"], wrapped("tx"))
        }
      }).pipe(
        onMemory({
          ...cluster,
          brokers: [{ name: "broker-a", config: { transactionTimeOut: 1_000, transactionCheckInterval: 3_000 } }]
        })
      )
    )
  }

  it.effect("a request finds its reply", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const asking = yield* startProducer({ namespace, producerGroup: "asking", readiness: "registered" })
      const answering = yield* startProducer({ namespace, producerGroup: "answering" })
      const waiting = yield* Effect.forkChild(asking.request(text("orders", "how many?"), 3_000), {
        startImmediately: true
      })
      yield* until(
        "the request is stored",
        Effect.map(messages(wrapped("orders")), ({ length }) => length === 1)
      )
      const [request] = yield* messages(wrapped("orders"))
      if (request === undefined) throw new Error("no request")
      yield* answering.reply(NamespaceRpcHook.unwrapMessage(namespace, request), "42")
      const reply = yield* Fiber.join(waiting)
      assert.strictEqual(Buffer.from(reply.body).toString(), "42")
      assert.notInclude(reply.topic, namespace)
    }).pipe(onMemory(cluster))
  )

  it.effect("errors and remarks name what the user named", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespace, borrowRoute: false })
      const absent = failureOf((yield* timed(producer.send(text("absent")))).exit)
      assert.strictEqual(absent.topic, "absent")
      assert.notInclude(absent.message, namespace)
      yield* producer.send(text("orders"))
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2 },
        actions: [FaultScript.answer(ResponseCode.MESSAGE_ILLEGAL, `topic[${wrapped("orders")}] is full`)]
      })
      const refused = failureOf((yield* timed(producer.send(text("orders")))).exit)
      assert.include(refused.message, "topic[orders] is full")
    }).pipe(onMemory(cluster))
  )

  it.effect("names that become too long with it are refused before anything is sent", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ namespace })
      const { reason } = failureOf(yield* Effect.exit(producer.send(text("t".repeat(127)))))
      assert.strictEqual(reason._tag, "InvalidMessage")
      assert.include(reason.message, namespace)
    }).pipe(onMemory(cluster))
  )

  it("a namespace is letters, digits, _ and -", () => {
    assert.deepStrictEqual(problems({ namespace, namespaceV2: "n-2" }), [])
    assert.deepStrictEqual(problems({ namespace: "a%b", namespaceV2: " " }), ["namespace", "namespaceV2"])
  })

  it.effect("keeps instances apart, as the other things do that requests are made with", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const different: ReadonlyArray<Partial<ClientConfig.ClientConfig>> = [
        {},
        { namespace: "a" },
        { namespace: "b" },
        { namespaceV2: "a" },
        { unitMode: true },
        { unitName: "u" },
        { vipChannelEnabled: true },
        { allowAddress: () => true }
      ]
      for (const [index, given] of different.entries()) {
        yield* start(`a${index}`, given)
        yield* start(`b${index}`, given)
        assert.strictEqual(yield* manager.size, index + 1)
      }
    }).pipe(onMemory(cluster))
  )
})

describe("namespaceV2, unit and VIP channel", () => {
  it.effect("every request says the namespace, and names stay", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namespaceV2: "nsv2", readiness: "registered", topics: ["plain"] })
      yield* producer.send(text("plain"))
      yield* producer.shutdown
      for (const { codeName, extFields } of yield* traffic.all) {
        assert.deepInclude({ ...extFields }, { nsd: "true", ns: "nsv2" }, codeName)
      }
      assert.strictEqual((yield* messages("plain")).length, 1)
    }).pipe(onMemory({ topics: { plain: {} } }))
  )

  it.effect("unitMode marks sends, unitName is part of the client id", () =>
    Effect.gen(function* () {
      const { clients, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ unitMode: true, unitName: "unit-1", readiness: "registered" })
      yield* producer.send(text("plain"))
      const [send] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.strictEqual(send?.extFields?.["k"], "true")
      for (const { clientId } of yield* clients) assert.match(clientId, /@unit-1$/)
    }).pipe(onMemory({ topics: { plain: {} } }))
  )

  it("the second listener is two ports below", () => {
    assert.strictEqual(vipAddress("10.0.0.1:10911"), "10.0.0.1:10909")
    assert.strictEqual(vipAddress("[::1]:10911"), "[::1]:10909")
    assert.strictEqual(vipAddress("broker:2"), "broker:2")
    assert.strictEqual(vipAddress("no address"), "no address")
  })

  it.effect("sends go to the VIP channel, heartbeats do not, and the connection stays", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const producer = yield* startProducer({ vipChannelEnabled: true, readiness: "registered", topics: ["plain"] })
      yield* producer.send(text("plain"))
      yield* TestClock.adjust(61_000)
      yield* settle
      yield* producer.send(text("plain"))
      for (const port of [10_909, 10_911, 9_876]) {
        assert.strictEqual(yield* network.dials(`127.0.0.1:${port}`), 1, String(port))
      }
      const at = (code: number) =>
        Effect.map(traffic.ofCode(code), (requests) => [...new Set(requests.map(({ address }) => address))])
      assert.deepStrictEqual(yield* at(RequestCode.SEND_MESSAGE_V2), ["127.0.0.1:10909"])
      assert.deepStrictEqual(yield* at(RequestCode.HEART_BEAT), ["127.0.0.1:10911"])
      yield* producer.shutdown
      assert.isAbove((yield* traffic.ofCode(RequestCode.UNREGISTER_CLIENT)).length, 0)
    }).pipe(onMemory({ topics: { plain: {} } }))
  )
})
