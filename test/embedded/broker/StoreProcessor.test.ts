import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import * as CleanStore from "../../../src/protocol/request/CleanStore.ts"
import * as GetBrokerHaStatus from "../../../src/protocol/request/GetBrokerHaStatus.ts"
import * as QueryConsumeQueue from "../../../src/protocol/request/QueryConsumeQueue.ts"
import { brokerAddress, consumerHeartbeat, orThrow, rawClient, sendRequest } from "../support.ts"

const onCluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(
    EmbeddedCluster.layerMemory({ topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } }, ...options })
  )

/** Three messages in queue 0. */
const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  const call = (request: Parameters<typeof client.call>[1]) => client.call(address, request)
  for (const tag of ["red", "blue", "red"]) {
    yield* call(sendRequest({ properties: MessageProperties.encode({ TAGS: tag }) }))
  }
  const ask = (over: Partial<QueryConsumeQueue.QueryConsumeQueueHeader> = {}) =>
    call(QueryConsumeQueue.request({ topic: "orders", queueId: 0, index: 0, count: 10, ...over }))
  return { address, ask, call, client }
})

describe("a broker's store", () => {
  for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
    it.effect(`A50: what the index of a queue says, as ${version}`, () =>
      Effect.gen(function* () {
        const { ask, call } = yield* setup
        const read = (over?: Partial<QueryConsumeQueue.QueryConsumeQueueHeader>) =>
          Effect.map(ask(over), (answer) => {
            assert.deepStrictEqual([answer.code, answer.remark], [0, "not set any response code"])
            return orThrow(QueryConsumeQueue.decodeResponse(answer))
          })
        const all = yield* read()
        const { maxQueueIndex, minQueueIndex, queueData = [] } = all ?? assert.fail("no answer")
        assert.deepStrictEqual([minQueueIndex, maxQueueIndex, queueData.length], [0, 3, 3])
        const [first, second, third] = queueData
        assert.deepStrictEqual([first?.physicOffset, second?.physicOffset], [0, first?.physicSize])
        assert.strictEqual(first?.tagsCode, third?.tagsCode)
        assert.notStrictEqual(first?.tagsCode, second?.tagsCode)
        const indexes = (over: Partial<QueryConsumeQueue.QueryConsumeQueueHeader>) =>
          Effect.map(read(over), (answer) => answer?.queueData?.map(({ physicOffset }) => physicOffset))
        assert.deepStrictEqual(yield* indexes({ index: 1 }), [second?.physicOffset, third?.physicOffset])
        assert.deepStrictEqual(yield* indexes({ count: 1 }), [0])
        for (const count of [0, -1]) assert.deepStrictEqual(yield* indexes({ count }), [])
        // Outside of the queue the answer is still 0, and the remark says it.
        for (const index of [3, 30, -1]) {
          const outside = yield* ask({ index })
          assert.deepStrictEqual(
            [outside.code, outside.remark, outside.body.length],
            [0, `Index ${index} of 0@orders is not exist!`, 0]
          )
          assert.isUndefined(QueryConsumeQueue.decodeResponse(outside))
        }
        for (const [topic, queueId] of [
          ["orders", 1],
          ["orders", -1],
          ["nope", 0]
        ] as const) {
          assert.deepInclude(yield* ask({ topic, queueId }), { code: 1, remark: `${queueId}@${topic} is not exist!` })
        }
        // A number that is none is Java's 0.
        const odd = yield* call({ code: 321, extFields: { topic: "orders", queueId: "x", count: "1" } })
        assert.strictEqual(orThrow(QueryConsumeQueue.decodeResponse(odd))?.queueData?.length, 1)
        assert.strictEqual((yield* call({ code: 321, extFields: {} })).code, 1)

        assert.strictEqual((yield* read({ consumerGroup: "cg" }))?.filterData, "cg@orders is not online!")
        yield* call(consumerHeartbeat("client-1", "cg", ["orders"], "red"))
        const filtered = yield* read({ consumerGroup: "cg" })
        assert.strictEqual(filtered?.filterData, "null")
        assert.deepInclude(filtered?.subscriptionData, { topic: "orders", subString: "red" })
      }).pipe(onCluster({ version }))
    )
  }

  it.effect("A50: cleaning removes queues that have expired, and nothing that is needed", () =>
    Effect.gen(function* () {
      const { ask, call } = yield* setup
      const store = (yield* EmbeddedCluster).brokers[0]?.store ?? assert.fail("no broker")
      const clean = (what: CleanStore.CleanStoreHeader) =>
        Effect.map(call(CleanStore.request(what)), ({ code, remark }) =>
          assert.deepStrictEqual([code, remark], [0, undefined])
        )
      for (const what of ["expiredConsumeQueue", "unusedTopic", "expiredCommitLog"] as const) yield* clean(what)
      assert.deepStrictEqual(store.offsets("orders", 0), { min: 0, max: 3 })
      // A message of a topic that nobody has any more.
      yield* call(sendRequest({ topic: "leftover" }))
      yield* call({ code: 215, extFields: { topic: "leftover" } })
      store.trim("orders", 0, 3)
      assert.deepStrictEqual(store.offsets("orders", 0), { min: 3, max: 3 })
      yield* clean("unusedTopic")
      yield* clean("expiredCommitLog")
      assert.deepStrictEqual(store.offsets("orders", 0), { min: 3, max: 3 })
      yield* clean("expiredConsumeQueue")
      assert.strictEqual((yield* ask()).code, 1)
      yield* call(sendRequest())
      assert.deepStrictEqual(store.offsets("orders", 0), { min: 0, max: 1 })
    }).pipe(onCluster())
  )

  it.effect("A50: how far the slaves are, and a slave itself", () =>
    Effect.gen(function* () {
      const { address, call, client } = yield* setup
      const slave = (yield* EmbeddedCluster).brokers.find(({ id }) => id === 1)?.address ?? ""
      const master = orThrow(GetBrokerHaStatus.decodeResponse(yield* call(GetBrokerHaStatus.request())))
      const end = master.masterCommitLogMaxOffset
      assert.isAbove(end, 0)
      assert.deepStrictEqual(master, {
        master: true,
        masterCommitLogMaxOffset: end,
        inSyncSlaveNums: 1,
        haConnectionInfo: [
          {
            addr: slave,
            slaveAckOffset: end,
            diff: 0,
            inSync: true,
            transferredByteInSecond: 0,
            transferFromWhere: 0
          }
        ],
        haClientRuntimeInfo: GetBrokerHaStatus.noClient
      })
      assert.deepInclude(
        orThrow(GetBrokerHaStatus.decodeResponse(yield* client.call(slave, GetBrokerHaStatus.request()))),
        {
          master: false,
          haConnectionInfo: [],
          haClientRuntimeInfo: {
            ...GetBrokerHaStatus.noClient,
            masterAddr: address,
            masterFlushOffset: end,
            maxOffset: end
          }
        }
      )
    }).pipe(onCluster({ brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }] }))
  )

  it.effect("4.9.7 tells nothing of its slaves", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      assert.deepInclude(yield* call(GetBrokerHaStatus.request()), {
        code: 3,
        remark: " request type 907 not supported"
      })
    }).pipe(onCluster({ version: MQVersion.V4_9_7 }))
  )
})
