import { assert, describe, it } from "@effect/vitest"
import * as RouteQueues from "../../src/client/RouteQueues.ts"
import type { QueueData, TopicQueueMappingInfo, TopicRouteData } from "../../src/protocol/TopicRouteData.ts"
import { bounded } from "../support/bounded.ts"

const queues = (brokerName: string, nums: number, perm = 6): QueueData => ({
  brokerName,
  perm,
  readQueueNums: nums,
  writeQueueNums: nums,
  topicSysFlag: 0
})

const route = (queueDatas: ReadonlyArray<QueueData>, more: Partial<TopicRouteData> = {}): TopicRouteData => ({
  queueDatas,
  brokerDatas: [...new Set(queueDatas.map(({ brokerName }) => brokerName))].map((brokerName) => ({
    cluster: "c",
    brokerName,
    brokerAddrs: new Map([[0, `${brokerName}.example:10911`]])
  })),
  filterServerTable: new Map(),
  ...more
})

const mapping = (
  scope: string,
  totalQueues: number,
  ids: ReadonlyArray<number>,
  epoch = 1,
  bname?: string
): TopicQueueMappingInfo => ({ scope, totalQueues, epoch, bname, currIdMap: new Map(ids.map((id) => [id, id])) })

const isStatic = (mappings: ReadonlyArray<readonly [string, TopicQueueMappingInfo]>) =>
  route([queues("a", 1)], { topicQueueMappingByBroker: new Map(mappings) })

const names = (list: ReadonlyArray<{ readonly brokerName: string; readonly queueId: number }>) =>
  list.map(({ brokerName, queueId }) => `${brokerName}:${queueId}`)

const times = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

describe("the queues of a route", () => {
  it("takes a broker that is named twice once, with the more queues of the two", () => {
    const data = route([queues("b", 2), queues("a", 1), queues("b", 3), queues("b", 9, 0), queues("a", -5)])
    const expected = ["a:0", "b:0", "b:1", "b:2"]
    assert.deepStrictEqual(names(RouteQueues.writable("t", data).queues), expected)
    assert.deepStrictEqual(names(RouteQueues.readable("t", data)), expected)
    assert.deepStrictEqual(RouteQueues.count(data), { writable: 4, readable: 4 })
  })

  it("takes a queue that an order configuration names twice once, where it is named first", () => {
    const data = route([queues("a", 1)], { orderTopicConf: "b:2;a:1;b:3;a:1;;b;:4;c:1e9;c:-1; d:1" })
    assert.deepStrictEqual(names(RouteQueues.writable("t", data).queues), ["b:0", "b:1", "a:0", "b:2", " d:0"])
    assert.isTrue(RouteQueues.writable("t", data).orderTopic)
    assert.deepStrictEqual(names(RouteQueues.readable("t", data)), ["a:0"])
  })

  it("reads logical queues of a static topic, each with the broker of the latest epoch", () => {
    const data = isStatic([
      ["a", mapping("s", 3, [0, 1, 7, -1], 2)],
      ["b", mapping("s", 2, [1], 5, "other")],
      ["c", mapping("s", 3, [0], 1)],
      ["d", { ...mapping("x", 1, []), scope: undefined }]
    ])
    const { leaders, queues: logical } = RouteQueues.writable("t", data)
    assert.deepStrictEqual(names(logical), ["__syslo__s:0", "__syslo__s:1", "__syslo__s:2"])
    assert.deepStrictEqual(RouteQueues.readable("t", data), logical)
    assert.deepStrictEqual([...(leaders?.values() ?? [])], ["a", "other", "__syslo__none__"])
    assert.deepStrictEqual(RouteQueues.leadersOf("t", data), leaders)
    assert.isUndefined(RouteQueues.leadersOf("t", route([queues("a", 1)])))
  })

  it("reads queues without a master, and writes none", () => {
    const data = { ...route([queues("a", 2)]), brokerDatas: [] }
    assert.strictEqual(RouteQueues.problemOf(data), "no-master")
    assert.lengthOf(RouteQueues.writable("t", data).queues, 0)
    assert.lengthOf(RouteQueues.readable("t", data), 2)
  })
})

describe("a route with more queues than a topic can have", () => {
  const MAX = RouteQueues.MAX_QUEUES
  const scopes = times(30_000, (i) => `scope-${i}`)

  /** Each: how many queues can be written, at least; `undefined` where the route can be used. */
  const cases: ReadonlyArray<readonly [what: string, data: () => TopicRouteData, figure: number | undefined]> = [
    ["400 queueDatas of one broker, 65,536 queues each", () => route(times(400, () => queues("a", MAX))), undefined],
    ["400 brokers of 65,536 queues", () => route(times(400, (i) => queues(`b-${i}`, MAX))), 400 * MAX],
    ["one broker of 2,147,483,647 queues", () => route([queues("a", 2_147_483_647)]), 2_147_483_647],
    ["65,537 brokers of one queue", () => route(times(MAX + 1, (i) => queues(`b-${i}`, 1))), MAX + 1],
    [
      "an order configuration of 400 times 65,536 queues of one broker",
      () => route([queues("a", 1)], { orderTopicConf: times(400, () => `a:${MAX}`).join(";") }),
      undefined
    ],
    [
      "an order configuration of 400 brokers with 65,536 queues",
      () => route([queues("a", 1)], { orderTopicConf: times(400, (i) => `b${i}:${MAX}`).join(";") }),
      MAX + 1
    ],
    [
      "an order configuration of four megabytes of separators",
      () => route([queues("a", 1)], { orderTopicConf: ";:".repeat(2 << 20) }),
      undefined
    ],
    [
      "an order configuration whose broker has a name of a megabyte",
      () => route([queues("a", 1)], { orderTopicConf: `${"x".repeat(1 << 20)}:${MAX}` }),
      undefined
    ],
    [
      "a static topic of 30,000 scopes with a queue each, named by as many mappings",
      () => isStatic(scopes.map((scope, i) => [`b-${i}`, mapping(scope, 1, [0])])),
      undefined
    ],
    [
      "a static topic of 30,000 scopes with 65,536 queues each",
      () => isStatic(scopes.map((scope, i) => [`b-${i}`, mapping(scope, MAX, [0])])),
      30_000 * MAX
    ],
    [
      "130,000 mappings of one scope",
      () => isStatic(times(130_000, (i) => [`b-${i}`, mapping("s", 4, [i % 4], i)] as const)),
      undefined
    ],
    [
      "a mapping of a million queues, of which the topic has four",
      () =>
        isStatic([
          [
            "a",
            mapping(
              "s",
              4,
              times(1_000_000, (i) => i)
            )
          ]
        ]),
      undefined
    ]
  ]

  it.each(cases)("%s: is counted before anything is laid out", (_, make, figure) => {
    const data = make()
    const laidOut = bounded({ millis: 3_000, megabytes: 512 }, () => ({
      counted: RouteQueues.count(data).writable,
      problem: RouteQueues.problemOf(data),
      writable: RouteQueues.writable("t", data),
      readable: RouteQueues.readable("t", data)
    }))
    const { counted, problem, readable, writable } = laidOut
    if (figure === undefined) {
      assert.isUndefined(problem)
      assert.strictEqual(writable.queues.length, counted)
      assert.strictEqual(new Set(names(writable.queues)).size, counted, "no queue twice")
    } else {
      assert.strictEqual(problem, "too-many-queues")
      assert.isAtLeast(counted, figure)
      assert.deepStrictEqual(writable.queues, [])
    }
    assert.isAtMost(readable.length, MAX)
  })
})
