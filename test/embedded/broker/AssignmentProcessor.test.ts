import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import * as QueryAssignment from "../../../src/protocol/request/QueryAssignment.ts"
import * as SetMessageRequestMode from "../../../src/protocol/request/SetMessageRequestMode.ts"
import { brokerAddress, consumerHeartbeat, orThrow, rawClient } from "../support.ts"

const cluster = EmbeddedCluster.layerMemory({ brokers: 2, topics: { orders: { readQueueNums: 3 } } })

const asked = (over: Partial<QueryAssignment.QueryAssignmentBody> = {}) =>
  QueryAssignment.request({
    clientId: "c-1",
    consumerGroup: "cg",
    messageModel: "CLUSTERING",
    strategyName: "AVG",
    topic: "orders",
    ...over
  })

/** One client of the group `cg` on each of `ids`, and what the broker assigns. */
const group = Effect.fnUntraced(function* (...ids: ReadonlyArray<string>) {
  const address = yield* brokerAddress("broker-b")
  for (const id of ids) {
    const member = yield* rawClient()
    yield* member.call(address, consumerHeartbeat(id, "cg", ["orders"]))
  }
  const client = yield* rawClient()
  const assignments = (over?: Partial<QueryAssignment.QueryAssignmentBody>) =>
    Effect.map(client.call(address, asked(over)), (answer) => {
      assert.strictEqual(answer.code, 0)
      return orThrow(QueryAssignment.decodeResponse(answer)).messageQueueAssignments?.map(
        ({ messageQueue: { brokerName, queueId, topic }, mode }) => {
          assert.strictEqual(topic, "orders")
          return `${mode === "PULL" ? "" : mode}${brokerName.slice(-1)}${queueId}`
        }
      )
    })
  return { address, client, assignments }
})

describe("assignments", () => {
  it.effect("A46: queues of all brokers are shared out in the order of names and ids", () =>
    Effect.gen(function* () {
      const { assignments } = yield* group("c-2", "c-1", "c-3", "c-4")
      assert.deepStrictEqual(yield* assignments(), ["a0", "a1"])
      assert.deepStrictEqual(yield* assignments({ clientId: "c-2" }), ["a2", "b0"])
      assert.deepStrictEqual(yield* assignments({ clientId: "c-3" }), ["b1"])
      assert.deepStrictEqual(yield* assignments({ clientId: "c-4" }), ["b2"])
      assert.deepStrictEqual(yield* assignments({ strategyName: "AVG_BY_CIRCLE" }), ["a0", "b1"])
      assert.deepStrictEqual(yield* assignments({ strategyName: "AVG_BY_CIRCLE", clientId: "c-4" }), ["b0"])
    }).pipe(Effect.provide(cluster))
  )

  it.effect("more consumers than queues: the last get none; a member with two connections counts twice", () =>
    Effect.gen(function* () {
      const ids = ["1", "2", "3", "4", "5", "6", "7"].map((id) => `c-${id}`)
      const { assignments } = yield* group(...ids, "c-1")
      assert.deepStrictEqual(yield* Effect.forEach(ids, (clientId) => assignments({ clientId })), [
        ["a0"],
        ["a2"],
        ["b0"],
        ["b1"],
        ["b2"],
        [],
        []
      ])
    }).pipe(Effect.provide(cluster))
  )

  it.effect("a stranger gets an empty list, broadcasting consumers get every readable queue", () =>
    Effect.gen(function* () {
      const { setPermission } = yield* EmbeddedCluster
      const { assignments } = yield* group("c-1")
      assert.deepStrictEqual(yield* assignments({ clientId: "stranger" }), [])
      const every = { messageModel: "BROADCASTING", consumerGroup: "nobody", strategyName: "" }
      assert.deepStrictEqual(yield* assignments(every), ["a0", "a1", "a2", "b0", "b1", "b2"])
      yield* setPermission("orders", 2, "broker-a")
      assert.deepStrictEqual(yield* assignments(every), ["b0", "b1", "b2"])
      assert.deepStrictEqual(yield* assignments(), ["b0", "b1", "b2"])
    }).pipe(Effect.provide(cluster))
  )

  it.effect("A46: there is no list where the broker cannot tell, and the consumer keeps what it has", () =>
    Effect.gen(function* () {
      const { assignments } = yield* group("c-1")
      const cannot: ReadonlyArray<Partial<QueryAssignment.QueryAssignmentBody>> = [
        { topic: "unknown" },
        { topic: "unknown", messageModel: "BROADCASTING" },
        { consumerGroup: "nobody" },
        { strategyName: "CONSISTENT_HASH" },
        { strategyName: "" },
        { clientId: "" },
        { messageModel: "LITE_SELECTIVE" }
      ]
      for (const over of cannot) assert.isUndefined(yield* assignments(over), JSON.stringify(over))
    }).pipe(Effect.provide(cluster))
  )

  it.effect("where a group pops, each pops every queue, or its share and those of the members behind it", () =>
    Effect.gen(function* () {
      const ids = ["1", "2", "3", "4"].map((id) => `c-${id}`)
      const { address, assignments, client } = yield* group(...ids)
      const share = (popShareQueueNum: number, mode = "POP") =>
        client.call(
          address,
          SetMessageRequestMode.request({ consumerGroup: "cg", topic: "orders", mode, popShareQueueNum })
        )
      for (const all of [-1, 0, 3, 8]) {
        assert.strictEqual((yield* share(all)).code, 0)
        for (const clientId of [...ids, "stranger", ""]) {
          assert.deepStrictEqual(yield* assignments({ clientId }), ["POPa-1", "POPb-1"])
        }
      }
      yield* share(1)
      assert.deepStrictEqual(yield* Effect.forEach([...ids, "stranger"], (clientId) => assignments({ clientId })), [
        ["POPa0", "POPa1", "POPa2", "POPb0"],
        ["POPa2", "POPb0", "POPb1"],
        ["POPb1", "POPb2"],
        ["POPb2", "POPa0", "POPa1"],
        []
      ])
      for (const id of ["5", "6", "7", "8"]) {
        const member = yield* rawClient()
        yield* member.call(address, consumerHeartbeat(`c-${id}`, "cg", ["orders"]))
      }
      assert.deepStrictEqual(yield* assignments({ clientId: "c-7" }), ["POPa0"], "more members than queues")
      yield* share(1, "PULL")
      assert.deepStrictEqual(yield* assignments({ clientId: "c-1" }), ["a0"])
    }).pipe(Effect.provide(cluster))
  )

  it.effect("a broker may have everybody pop; retry topics are pulled", () =>
    Effect.gen(function* () {
      const { assignments } = yield* group("c-1", "c-2")
      assert.deepStrictEqual(yield* assignments(), ["POPa-1", "POPb-1"])
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({
          brokers: ["broker-a", "broker-b"].map((name) => ({ name, config: { defaultMessageRequestMode: "POP" } })),
          topics: { orders: {} }
        })
      )
    )
  )

  it.effect("A46: code 1 for a body that says too little, code 3 before 5.0", () =>
    Effect.gen(function* () {
      const { address, client } = yield* group()
      for (const body of ["", "{}", "[]", "null", '{"topic":"orders","consumerGroup":"cg","messageModel":"NONE"}']) {
        const answer = yield* client.call(address, { code: 400, extFields: undefined, body: Buffer.from(body) })
        assert.strictEqual(answer.code, 1, body)
      }
    }).pipe(Effect.provide(cluster))
  )

  it.effect("a broker of 4.9.7 does not know the code", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      assert.deepInclude(yield* client.call(yield* brokerAddress(), asked()), {
        code: 3,
        remark: " request type 400 not supported"
      })
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ version: MQVersion.V4_9_7 })))
  )
})
