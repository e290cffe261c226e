import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope, Exit } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as CheckClientConfig from "../../../src/protocol/request/CheckClientConfig.ts"
import * as GetConsumerConnectionList from "../../../src/protocol/request/GetConsumerConnectionList.ts"
import * as GetConsumerListByGroup from "../../../src/protocol/request/GetConsumerListByGroup.ts"
import * as GetProducerConnectionList from "../../../src/protocol/request/GetProducerConnectionList.ts"
import * as HeartBeat from "../../../src/protocol/request/HeartBeat.ts"
import * as LockBatch from "../../../src/protocol/request/LockBatch.ts"
import * as UnregisterClient from "../../../src/protocol/request/UnregisterClient.ts"
import { brokerAddress, consumerHeartbeat, orThrow, producerHeartbeat, rawClient } from "../support.ts"

const onCluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))

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

  it.effect("leaves broadcasting groups in peace", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      yield* client.call(
        yield* brokerAddress(),
        consumerHeartbeat("c1", "cg", ["orders"], undefined, { messageModel: "BROADCASTING" })
      )
      assert.deepStrictEqual(client.pushes, [])
    }).pipe(onCluster)
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

  it.effect("locks queues for one client of a group for 60 s", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const lock = (clientId: string, ...ids: ReadonlyArray<number>) =>
        Effect.map(
          client.call(address, LockBatch.request({ clientId, consumerGroup: "cg", mqSet: ids.map(queue) }, "lock")),
          (answer) => orThrow(LockBatch.decodeResponse(answer)).lockOKMQSet.map(({ queueId }) => queueId)
        )
      assert.deepStrictEqual(yield* lock("c1", 0, 1), [0, 1])
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

  it.effect("serves tag filters only", () =>
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
      assert.strictEqual((yield* check("TAG")).code, 0)
      assert.deepInclude(yield* check("SQL92"), {
        code: 1,
        remark: "The broker does not support consumer to filter message by SQL92"
      })
    }).pipe(onCluster)
  )

  it.effect("says in a 4.9.7 heartbeat answer nothing of version 2", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const answer = yield* client.call(yield* brokerAddress(), producerHeartbeat("c1", "pg"))
      assert.deepInclude(answer, { code: 0, version: 407, extFields: undefined })
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ version: 407 })))
  )
})
