import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AllocateStrategy from "../../../src/consumer/rebalance/AllocateStrategy.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"

const queuesOf = (count: number, brokerName = "room1@broker-a") =>
  Array.from({ length: count }, (_, id) => MessageQueue.make("orders", brokerName, id))

const sharesOf = (
  strategy: AllocateStrategy.AllocateStrategy,
  mqAll: ReadonlyArray<MessageQueue.MessageQueue>,
  cidAll: ReadonlyArray<string>
) => cidAll.map((currentCID) => strategy.allocate({ consumerGroup: "g", currentCID, mqAll, cidAll }))

const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))

/** Ids that each member gets by AVG. */
const ids = (queues: number, members: number) =>
  sharesOf(AllocateStrategy.averagely, queuesOf(queues), ["a", "b", "c", "d"].slice(0, members)).map((share) =>
    share.map(({ queueId }) => queueId)
  )

describe("AllocateStrategy", () => {
  const complete = [
    AllocateStrategy.averagely,
    AllocateStrategy.averagelyByCircle,
    AllocateStrategy.consistentHash(),
    AllocateStrategy.byMachineRoom(["room1"]),
    AllocateStrategy.machineRoomNearby(AllocateStrategy.averagely, {
      brokerDeployIn: ({ brokerName }) => brokerName.split("@")[0],
      consumerDeployIn: () => "room1"
    })
  ]

  for (const strategy of complete) {
    it.prop(`${strategy.name} gives each queue to one member`, [Size, Size], ([queues, members]) => {
      const all = queuesOf(queues)
      const cids = Array.from({ length: members }, (_, n) => `10.0.0.${n}@1`).toSorted()
      const shares = sharesOf(strategy, all, cids)
      assert.sameDeepMembers(shares.flat(), all)
      assert.deepStrictEqual(
        strategy.allocate({ consumerGroup: "g", currentCID: "stranger", mqAll: all, cidAll: cids }),
        []
      )
    })
  }

  it("AVG gives neighbours, the first members one more; as Java's AllocateMessageQueueAveragely", () => {
    assert.deepStrictEqual(ids(8, 3), [
      [0, 1, 2],
      [3, 4, 5],
      [6, 7]
    ])
    assert.deepStrictEqual(ids(2, 4), [[0], [1], [], []])
    assert.deepStrictEqual(ids(4, 4), [[0], [1], [2], [3]])
  })

  it("AVG_BY_CIRCLE gives one to each in turn", () => {
    assert.deepStrictEqual(
      sharesOf(AllocateStrategy.averagelyByCircle, queuesOf(5), ["a", "b"]).map((share) =>
        share.map(({ queueId }) => queueId)
      ),
      [
        [0, 2, 4],
        [1, 3]
      ]
    )
  })

  it("MACHINE_ROOM leaves out the queues of other rooms, and names without one", () => {
    const strategy = AllocateStrategy.byMachineRoom(["room2"])
    const all = [...queuesOf(2), ...queuesOf(2, "room2@b"), ...queuesOf(1, "plain"), ...queuesOf(1, "room2@")]
    assert.sameDeepMembers(sharesOf(strategy, all, ["a", "b"]).flat(), queuesOf(2, "room2@b"))
  })

  it("MACHINE_ROOM_NEARBY shares the rooms in which nobody is among all", () => {
    const strategy = AllocateStrategy.machineRoomNearby(AllocateStrategy.averagely, {
      brokerDeployIn: ({ brokerName }) => brokerName.split("@")[0],
      consumerDeployIn: (cid) => (cid === "a" ? "room1" : "room3")
    })
    const [a = [], b = []] = sharesOf(strategy, [...queuesOf(2), ...queuesOf(2, "room2@b")], ["a", "b"])
    assert.deepStrictEqual(
      a.map(({ brokerName, queueId }) => `${brokerName} ${queueId}`),
      ["room1@broker-a 0", "room1@broker-a 1", "room2@b 0"]
    )
    assert.deepStrictEqual(
      b.map(({ brokerName, queueId }) => `${brokerName} ${queueId}`),
      ["room2@b 1"]
    )
  })

  it("CONFIG gives the queues of the topic that were named, whoever is there", () => {
    const strategy = AllocateStrategy.byConfig([...queuesOf(1), MessageQueue.make("other", "b", 0)])
    assert.deepStrictEqual(sharesOf(strategy, queuesOf(4), ["a", "b"]), [queuesOf(1), queuesOf(1)])
  })
})
