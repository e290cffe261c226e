import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope, Exit } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as CheckClientConfig from "../../../src/protocol/request/CheckClientConfig.ts"
import * as GetConsumerConnectionList from "../../../src/protocol/request/GetConsumerConnectionList.ts"
import * as GetConsumerListByGroup from "../../../src/protocol/request/GetConsumerListByGroup.ts"
import * as GetProducerConnectionList from "../../../src/protocol/request/GetProducerConnectionList.ts"
import * as HeartBeat from "../../../src/protocol/request/HeartBeat.ts"
import * as LockBatch from "../../../src/protocol/request/LockBatch.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import * as UnregisterClient from "../../../src/protocol/request/UnregisterClient.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import {
  brokerAddress,
  consumerHeartbeat,
  orThrow,
  producerHeartbeat,
  rawClient,
  sendHeader,
  textOf,
  utf8
} from "../support.ts"

const onCluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
const onLegacyCluster = Effect.provide(
  EmbeddedCluster.layerMemory({ topics: { orders: {} }, version: MQVersion.V4_9_7 })
)

const pushed = (pushes: ReadonlyArray<RemotingCommand>) =>
  pushes.map(({ code, extFields, flag }) => [code, flag, extFields?.["consumerGroup"]])

const members = (group: string) => GetConsumerListByGroup.request({ consumerGroup: group })

const queue = (queueId: number) => ({ topic: "orders", brokerName: "broker-a", queueId })

describe("clients", () => {
  it.effect("a heartbeat puts its groups into the table of live clients", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const answer = yield* client.call(address, producerHeartbeat("client-1", "pg"))
      assert.deepInclude(answer, {
        code: 0,
        version: 513,
        extFields: { IS_SUPPORT_HEART_BEAT_V2: "true", IS_SUB_CHANGE: "true" }
      })
      yield* client.call(address, consumerHeartbeat("client-1", "cg", ["orders"], "A"))
      const live = yield* cluster.clients
      assert.deepStrictEqual(
        live.map(({ broker, clientId, group, kind, language, version }) => [
          broker,
          kind,
          group,
          clientId,
          language,
          version
        ]),
        [
          ["broker-a", "producer", "pg", "client-1", "OTHER", 513],
          ["broker-a", "consumer", "cg", "client-1", "OTHER", 513]
        ]
      )
      const producers = yield* client.call(address, GetProducerConnectionList.request({ producerGroup: "pg" }))
      assert.deepStrictEqual(orThrow(GetProducerConnectionList.decodeResponse(producers)).connectionSet, [
        { clientId: "client-1", clientAddr: live[0]?.address ?? "", language: "OTHER", version: 513 }
      ])
      const consumers = orThrow(
        GetConsumerConnectionList.decodeResponse(
          yield* client.call(address, GetConsumerConnectionList.request({ consumerGroup: "cg" }))
        )
      )
      assert.deepInclude(consumers, {
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET"
      })
      assert.deepStrictEqual([...consumers.subscriptionTable.keys()], ["orders"])
      const topic = yield* client.call(address, { code: 351, extFields: { topic: "%RETRY%cg" } })
      assert.strictEqual(topic.code, 0)
    }).pipe(onCluster)
  )

  it.effect("answers for groups nobody is in", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      assert.deepInclude(yield* client.call(address, members("cg")), {
        code: 1,
        remark: "no consumer for this group, cg"
      })
      assert.deepInclude(yield* client.call(address, GetProducerConnectionList.request({ producerGroup: "pg" })), {
        code: 1,
        remark: "the producer group[pg] not exist"
      })
      assert.deepInclude(yield* client.call(address, GetConsumerConnectionList.request({ consumerGroup: "cg" })), {
        code: 206,
        remark: "the consumer group[cg] not online"
      })
    }).pipe(onCluster)
  )

  it.effect("tells all members of a group when one comes or goes", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const [one, two] = [yield* rawClient(), yield* rawClient()]
      yield* one.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
      // The push is sent before the answer to the heartbeat that caused it.
      assert.deepStrictEqual(pushed(one.pushes), [[40, 2, "cg"]])
      yield* one.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
      assert.strictEqual(one.pushes.length, 1)
      yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders"]))
      yield* one.call(address, members("cg"))
      assert.strictEqual(one.pushes.length, 2)
      assert.strictEqual(two.pushes.length, 1)
      const ids = orThrow(GetConsumerListByGroup.decodeResponse(yield* one.call(address, members("cg"))))
      assert.deepStrictEqual(ids.consumerIdList, ["c1", "c2"])
      const changed = yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders", "more"]))
      assert.strictEqual(changed.code, 0)
      yield* one.call(address, members("cg"))
      assert.strictEqual(one.pushes.length, 3)
      yield* two.call(address, UnregisterClient.request({ clientID: "c2", consumerGroup: "cg" }))
      yield* one.call(address, members("cg"))
      assert.strictEqual(one.pushes.length, 4)
      const left = orThrow(GetConsumerListByGroup.decodeResponse(yield* one.call(address, members("cg"))))
      assert.deepStrictEqual(left.consumerIdList, ["c1"])
    }).pipe(onCluster)
  )

  it.effect("a client says goodbye for its connection, whatever it calls itself; the group is told in any case", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const [one, two, stranger] = [yield* rawClient(), yield* rawClient(), yield* rawClient()]
      yield* one.call(address, consumerHeartbeat("same", "cg", ["orders"]))
      yield* two.call(address, consumerHeartbeat("same", "cg", ["orders"]))
      const ids = Effect.map(stranger.call(address, members("cg")), (answer) =>
        answer.code === 0 ? orThrow(GetConsumerListByGroup.decodeResponse(answer)).consumerIdList : answer.remark
      )
      const told = Effect.sync(() => [one, two].map(({ pushes }) => pushes.splice(0).length))
      // One id on two connections is two members.
      assert.deepStrictEqual(yield* ids, ["same", "same"])
      yield* told
      const leave = (client: typeof one, extFields: Record<string, string>) =>
        Effect.map(client.call(address, { code: 35, extFields }), ({ code }) => assert.strictEqual(code, 0))
      yield* leave(stranger, { clientID: "same", consumerGroup: "cg" })
      assert.deepStrictEqual(yield* ids, ["same", "same"])
      assert.deepStrictEqual(yield* told, [1, 1])
      yield* leave(two, { clientID: "other", consumerGroup: "cg" })
      assert.deepStrictEqual(yield* ids, ["same"])
      assert.deepStrictEqual(yield* told, [1, 0])
      yield* leave(one, { consumerGroup: "cg" })
      assert.deepStrictEqual(yield* ids, "no consumer for this group, cg")
      yield* leave(one, {})
      // Asking for a group creates it.
      yield* leave(one, { clientID: "same", consumerGroup: "new" })
      const groups = orThrow(
        SubscriptionGroup.decodeListResponse(yield* one.call(address, SubscriptionGroup.request({ operation: "list" })))
      )
      assert.isTrue(groups.subscriptionGroupTable.has("new"))
    }).pipe(onCluster)
  )

  it.effect("a producer that leaves one of its groups gets no replies any more, until it joins another", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const address = yield* brokerAddress()
      const [client, other] = [yield* rawClient(), yield* rawClient()]
      const reply = Effect.map(
        other.call(
          address,
          SendMessage.request(
            sendHeader({
              topic: "DefaultCluster_REPLY_TOPIC",
              properties: MessageProperties.encode({ REPLY_TO_CLIENT: "c1", CORRELATION_ID: "1", MSG_TYPE: "reply" })
            }),
            utf8("x"),
            "REPLY_V2"
          )
        ),
        ({ code }) => code
      )
      yield* client.call(address, producerHeartbeat("c1", "pg-1"))
      yield* client.call(address, producerHeartbeat("c1", "pg-2"))
      assert.strictEqual(yield* reply, 0)
      yield* client.call(address, UnregisterClient.request({ clientID: "c1", producerGroup: "pg-1" }))
      assert.strictEqual(yield* reply, 1)
      yield* client.call(address, producerHeartbeat("c1", "pg-2"))
      assert.strictEqual(yield* reply, 1)
      yield* client.call(address, producerHeartbeat("c1", "pg-3"))
      assert.strictEqual(yield* reply, 0)
      // Also when somebody else says goodbye under that id, who takes nobody out of the group.
      yield* other.call(address, UnregisterClient.request({ clientID: "c1", producerGroup: "pg-3" }))
      assert.strictEqual(yield* reply, 1)
      assert.deepStrictEqual(
        (yield* cluster.clients).map(({ group }) => group),
        ["pg-2", "pg-3"]
      )
    }).pipe(onCluster)
  )

  it.effect("the last member to speak says how a group consumes; a producer keeps its first id", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const client = yield* rawClient()
      const call = (request: Parameters<typeof client.call>[1]) => client.call(address, request)
      yield* call(consumerHeartbeat("c1", "cg", ["orders"]))
      yield* call(consumerHeartbeat("c2", "cg", ["orders"], undefined, { messageModel: "BROADCASTING" }))
      const consumers = orThrow(
        GetConsumerConnectionList.decodeResponse(
          yield* call(GetConsumerConnectionList.request({ consumerGroup: "cg" }))
        )
      )
      assert.strictEqual(consumers.messageModel, "BROADCASTING")
      assert.deepStrictEqual(
        consumers.connectionSet.map(({ clientId }) => clientId),
        ["c2"]
      )
      yield* call(producerHeartbeat("p1", "pg"))
      yield* call(producerHeartbeat("p2", "pg"))
      const producers = orThrow(
        GetProducerConnectionList.decodeResponse(
          yield* call(GetProducerConnectionList.request({ producerGroup: "pg" }))
        )
      )
      assert.deepStrictEqual(
        producers.connectionSet.map(({ clientId }) => clientId),
        ["p1"]
      )
    }).pipe(onCluster)
  )

  for (const [version, joins, leaves] of [
    [MQVersion.V5_5_0, 0, 0],
    [MQVersion.V4_9_7, 2, 2]
  ] as const) {
    it.effect(`members of a broadcasting group are told of each other before 5.0 only, ${version}`, () =>
      Effect.gen(function* () {
        const address = yield* brokerAddress()
        const one = yield* rawClient()
        const scope = yield* Scope.make()
        const two = yield* rawClient().pipe(Scope.provide(scope))
        const beat = (client: typeof one, id: string) =>
          client.call(address, consumerHeartbeat(id, "cg", ["orders"], undefined, { messageModel: "BROADCASTING" }))
        yield* beat(one, "c1")
        yield* beat(two, "c2")
        yield* one.call(address, members("cg"))
        assert.strictEqual(one.pushes.length, joins)
        yield* two.call(address, UnregisterClient.request({ clientID: "c2", consumerGroup: "cg" }))
        yield* beat(two, "c2")
        yield* one.call(address, members("cg"))
        const before = one.pushes.length
        assert.strictEqual(before, joins + leaves)
        yield* Scope.close(scope, Exit.void)
        yield* TestClock.adjust(1)
        yield* one.call(address, members("cg"))
        assert.strictEqual(one.pushes.length, before + (joins === 0 ? 0 : 1))
      }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, version })))
    )
  }

  it.effect("a group that wants no notices gets one when a connection breaks", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const one = yield* rawClient()
      const scope = yield* Scope.make()
      const two = yield* rawClient().pipe(Scope.provide(scope))
      const config = SubscriptionGroup.makeConfig({ groupName: "cg", notifyConsumerIdsChangedEnable: false })
      yield* one.call(address, SubscriptionGroup.request({ operation: "update", config }))
      yield* one.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
      yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders"]))
      yield* two.call(address, UnregisterClient.request({ clientID: "c2", consumerGroup: "cg" }))
      yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders"]))
      yield* one.call(address, members("cg"))
      assert.deepStrictEqual(one.pushes, [])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      yield* one.call(address, members("cg"))
      assert.deepStrictEqual(pushed(one.pushes), [[40, 2, "cg"]])
    }).pipe(onCluster)
  )

  it.effect("nobody is told of a client that expires", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const [one, two] = [yield* rawClient(), yield* rawClient()]
      yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders"]))
      const beat = one.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
      yield* TestClock.adjust("60 seconds")
      yield* beat
      for (let i = 0; i < 6; i++) {
        yield* TestClock.adjust("10 seconds")
        yield* beat
      }
      assert.strictEqual(one.pushes.length, 1)
      const left = orThrow(GetConsumerListByGroup.decodeResponse(yield* one.call(address, members("cg"))))
      assert.deepStrictEqual(left.consumerIdList, ["c1"])
    }).pipe(onCluster)
  )

  it.effect("before 5.0 a producer group whose connections broke goes on without members", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const one = yield* rawClient()
      const scope = yield* Scope.make()
      const two = yield* rawClient().pipe(Scope.provide(scope))
      const ask = one.call(address, GetProducerConnectionList.request({ producerGroup: "pg" }))
      yield* two.call(address, producerHeartbeat("p2", "pg"))
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(orThrow(GetProducerConnectionList.decodeResponse(yield* ask)).connectionSet, [])
      assert.strictEqual(textOf((yield* one.call(address, { code: 328, extFields: {} })).body), '{"data":{}}')
      yield* one.call(address, producerHeartbeat("p1", "pg"))
      yield* one.call(address, UnregisterClient.request({ clientID: "p1", producerGroup: "pg" }))
      assert.strictEqual((yield* ask).code, 1)
    }).pipe(onLegacyCluster)
  )

  it.effect("a closed connection takes its clients with it", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const address = yield* brokerAddress()
      const one = yield* rawClient()
      const scope = yield* Scope.make()
      const two = yield* rawClient().pipe(Scope.provide(scope))
      yield* one.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
      yield* two.call(address, consumerHeartbeat("c2", "cg", ["orders"]))
      yield* two.call(address, producerHeartbeat("c2", "pg"))
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        (yield* cluster.clients).map((client) => client.clientId),
        ["c1"]
      )
      assert.strictEqual(one.pushes.length, 3)
    }).pipe(onCluster)
  )

  it.effect("forgets, 120 s after its last heartbeat, a client that stays connected", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      yield* client.call(address, producerHeartbeat("c1", "pg"))
      yield* TestClock.adjust("100 seconds")
      yield* client.call(address, producerHeartbeat("c1", "pg"))
      for (let i = 0; i < 11; i++) {
        yield* TestClock.adjust("10 seconds")
        yield* client.call(address, members("cg"))
      }
      yield* TestClock.adjust(9_999)
      assert.strictEqual((yield* cluster.clients).length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* cluster.clients).length, 0)
    }).pipe(onCluster)
  )

  it.effect("asks for the subscriptions again when the fingerprint of a group changes", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const beat = (over: Parameters<typeof consumerHeartbeat>[4], topics: ReadonlyArray<string> = ["orders"]) =>
        Effect.map(
          client.call(address, consumerHeartbeat("c1", "cg", topics, undefined, over)),
          (answer) => orThrow(HeartBeat.decodeResponse(answer)).isSubChange
        )
      assert.isFalse(yield* beat({ heartbeatFingerprint: 5 }))
      assert.isFalse(yield* beat({ heartbeatFingerprint: 5, withoutSub: true }, []))
      assert.isTrue(yield* beat({ heartbeatFingerprint: 6 }))
      assert.isFalse(yield* beat({ heartbeatFingerprint: 6 }))
      assert.isTrue(yield* beat({}))
      const consumers = orThrow(
        GetConsumerConnectionList.decodeResponse(
          yield* client.call(address, GetConsumerConnectionList.request({ consumerGroup: "cg" }))
        )
      )
      assert.deepStrictEqual([...consumers.subscriptionTable.keys()], ["orders"])
    }).pipe(onCluster)
  )

  it.effect("only a heartbeat of the second version leaves subscriptions out, and only to a broker of 5.x", () =>
    Effect.gen(function* () {
      for (const [layer, fingerprint, kept] of [
        [onCluster, 5, true],
        [onCluster, 0, false],
        [onLegacyCluster, 5, false]
      ] as const) {
        yield* Effect.gen(function* () {
          const client = yield* rawClient()
          const address = yield* brokerAddress()
          yield* client.call(address, consumerHeartbeat("c1", "cg", ["orders"]))
          const over = { heartbeatFingerprint: fingerprint, withoutSub: true }
          yield* client.call(address, consumerHeartbeat("c1", "cg", [], undefined, over))
          const { subscriptionTable } = orThrow(
            GetConsumerConnectionList.decodeResponse(
              yield* client.call(address, GetConsumerConnectionList.request({ consumerGroup: "cg" }))
            )
          )
          assert.strictEqual(subscriptionTable.has("orders"), kept)
        }).pipe(layer, Effect.scoped)
      }
    })
  )

  it.effect("locks queues for one client of a group for 60 s", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const lock = (clientId: string, ...ids: ReadonlyArray<number>) =>
        Effect.map(
          client.call(address, LockBatch.request({ clientId, consumerGroup: "cg", mqSet: ids.map(queue) }, "lock")),
          (answer) => orThrow(LockBatch.decodeResponse(answer)).lockOKMQSet.map(({ queueId }) => queueId)
        )
      assert.deepStrictEqual(yield* lock("c1", 0, 1, 1), [0, 1])
      assert.deepStrictEqual(yield* lock("c2", 1, 2), [2])
      const body = { clientId: "c2", consumerGroup: "cg", mqSet: [queue(1), queue(2)] }
      assert.strictEqual((yield* client.call(address, LockBatch.request(body, "unlock"))).code, 0)
      assert.deepStrictEqual(yield* lock("c3", 1, 2), [2])
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(yield* lock("c3", 0), [])
      assert.deepStrictEqual(yield* lock("c1", 1), [1])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* lock("c3", 0, 1), [0])
    }).pipe(onCluster)
  )

  it.effect("serves tag filters only, as a real broker does by default", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const check = (expressionType: string) =>
        client.call(
          address,
          CheckClientConfig.request({
            clientId: "c1",
            group: "cg",
            subscriptionData: {
              topic: "orders",
              subString: "a",
              tagsSet: [],
              codeSet: [],
              subVersion: 1,
              expressionType,
              classFilterMode: false
            }
          })
        )
      for (const type of ["TAG", ""]) assert.strictEqual((yield* check(type)).code, 0)
      for (const body of ["", "{}", '{"clientId":"c1"}', '{"subscriptionData":{"topic":"orders"}}']) {
        const answer = yield* client.call(address, { code: 46, extFields: undefined, body: utf8(body) })
        assert.strictEqual(answer.code, 0, body)
      }
      assert.deepInclude(yield* check("SQL92"), {
        code: 1,
        remark: "The broker does not support consumer to filter message by SQL92"
      })
    }).pipe(onCluster)
  )

  it.effect("checks an SQL92 filter where it may filter by one", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const check = (subString: string, expressionType = "SQL92") =>
        Effect.map(
          client.call(
            address,
            CheckClientConfig.request({
              subscriptionData: {
                topic: "orders",
                subString,
                tagsSet: [],
                codeSet: [],
                subVersion: 1,
                expressionType,
                classFilterMode: false
              }
            })
          ),
          ({ code, remark }) => [code, remark]
        )
      assert.deepStrictEqual(yield* check("a > 5 AND b IN ('x')"), [0, undefined])
      assert.deepStrictEqual(yield* check("a > 'x'"), [
        23,
        "java.lang.RuntimeException: Value ''x'' cannot be compared."
      ])
      assert.deepStrictEqual(yield* check("(".repeat(10_000)), [23, "java.lang.StackOverflowError"])
      assert.deepStrictEqual(yield* check(`a = '${"x".repeat(65_536)}'`), [
        23,
        "the filter has 65542 characters, more than 65536"
      ])
      const [code, remark] = yield* check("a", "XPATH")
      assert.deepStrictEqual([code, String(remark).slice(0, 13)], [23, "Cannot invoke"])
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({ brokers: [{ name: "broker-a", config: { enablePropertyFilter: true } }] })
      )
    )
  )

  it.effect("says in a 4.9.7 heartbeat answer nothing of version 2", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const answer = yield* client.call(yield* brokerAddress(), producerHeartbeat("c1", "pg"))
      assert.deepInclude(answer, { code: 0, version: 407, extFields: undefined })
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ version: 407 })))
  )
})
