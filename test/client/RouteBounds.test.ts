import { assert, describe, it } from "@effect/vitest"
import * as RouteBounds from "../../src/client/RouteBounds.ts"
import type { BrokerData, TopicRouteData } from "../../src/protocol/TopicRouteData.ts"
import { bounded } from "../support/bounded.ts"

const broker = (
  brokerName: string,
  addresses: ReadonlyArray<readonly [number, string]> = [[0, "h:1"]]
): BrokerData => ({
  cluster: "c",
  brokerName,
  brokerAddrs: new Map(addresses)
})

const route = (names: ReadonlyArray<string>, more: Partial<TopicRouteData> = {}): TopicRouteData => ({
  queueDatas: names.map((brokerName) => ({
    brokerName,
    perm: 6,
    readQueueNums: 1,
    writeQueueNums: 1,
    topicSysFlag: 0
  })),
  brokerDatas: names.map((brokerName) => broker(brokerName)),
  filterServerTable: new Map(),
  ...more
})

const namesOf = (list: ReadonlyArray<{ readonly brokerName: string }>) => list.map(({ brokerName }) => brokerName)

describe("what of a route is used", () => {
  it("everything, of a route as there are", () => {
    const given = route(["broker-b", "broker-a"], { orderTopicConf: "broker-a:4" })
    const { route: used, warnings } = RouteBounds.bounded(given)
    assert.deepStrictEqual([...warnings], [])
    assert.deepStrictEqual(used.brokerDatas, given.brokerDatas)
    assert.deepStrictEqual(used.queueDatas, given.queueDatas)
    assert.strictEqual(used.orderTopicConf, "broker-a:4")
  })

  it("the first 4,096 of 20,000 brokers by name, whatever order they have, and their queues", () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `b-${String((i * 7_919) % 20_000).padStart(5, "0")}`)
    const { route: used, warnings } = bounded({ millis: 2_000, megabytes: 256 }, () =>
      RouteBounds.bounded(route(names))
    )
    assert.deepStrictEqual(namesOf(used.brokerDatas), names.toSorted().slice(0, RouteBounds.MAX_BROKERS))
    assert.sameMembers([...namesOf(used.queueDatas)], [...namesOf(used.brokerDatas)])
    assert.deepStrictEqual([...warnings], [{ _tag: "TooManyBrokers", brokers: 20_000 }])
    assert.include(warnings.map(RouteBounds.describe).join(), "20000 brokers, of which the first 4096 by name")
  })

  it("the 64 addresses of a broker with the least ids", () => {
    const many = Array.from({ length: 100_000 }, (_, i) => [100_000 - i, `h:${i}`] as const)
    const { brokers, warnings } = RouteBounds.boundedBrokers([broker("a", many), broker("b")])
    assert.deepStrictEqual(
      [...(brokers[0]?.brokerAddrs.keys() ?? [])],
      Array.from({ length: 64 }, (_, i) => i + 1)
    )
    assert.deepStrictEqual([...warnings], [{ _tag: "TooManyAddresses", brokers: 1 }])
  })

  it("the last entry of a broker that is named twice", () => {
    const { brokers, warnings } = RouteBounds.boundedBrokers([
      broker("a", [[0, "old:1"]]),
      broker("b"),
      broker("a", [[0, "new:1"]])
    ])
    assert.deepStrictEqual(
      brokers.map(({ brokerAddrs, brokerName }) => [brokerName, brokerAddrs.get(0)]),
      [
        ["a", "new:1"],
        ["b", "h:1"]
      ]
    )
    assert.deepStrictEqual([...warnings], [])
  })

  it("no name that is too long or that a terminal would act on, wherever it stands", () => {
    const long = "x".repeat(1 << 20)
    const mapping = { totalQueues: 1, epoch: 1 }
    const given = route(["good", "bad\u001b[2J", "b\u202ead", long], {
      orderTopicConf: "good:1;b\u001bad:2",
      filterServerTable: new Map([[long, [long]]]),
      topicQueueMappingByBroker: new Map([
        ["good", { ...mapping, scope: "s" }],
        [long, { ...mapping, scope: "s" }],
        ["a", { ...mapping, scope: long }],
        ["b", { ...mapping, scope: "s", bname: "\u009b1m" }]
      ])
    })
    const { route: used, warnings } = RouteBounds.bounded(given)
    assert.deepStrictEqual(namesOf(used.brokerDatas), ["good"])
    assert.deepStrictEqual(namesOf(used.queueDatas), ["good"])
    assert.isUndefined(used.orderTopicConf)
    assert.deepStrictEqual([...(used.topicQueueMappingByBroker?.keys() ?? [])], ["good"])
    assert.strictEqual(used.filterServerTable.size, 0)
    assert.deepStrictEqual(
      [...warnings],
      [
        { _tag: "UnusableNames", names: 3 },
        { _tag: "UnusableNames", names: 3 }
      ]
    )
    for (const text of warnings.map(RouteBounds.describe)) assert.isBelow(text.length, 200)
  })
})
