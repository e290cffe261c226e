import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { problemOf } from "../../../src/client/RouteQueues.ts"
import { Arbitraries } from "../../../src/testing/index.ts"
import type { TopicRouteData } from "../../../src/protocol/TopicRouteData.ts"
import * as TopicPublishInfo from "../../../src/producer/queue/TopicPublishInfo.ts"
import { selectOneMessageQueue } from "../../../src/producer/queue/TopicPublishInfo.ts"
import { runs } from "../../support/rig.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

interface BrokerSpec {
  readonly name: string
  readonly writes: number
  readonly reads?: number
  readonly perm?: number
  readonly ids?: ReadonlyArray<number>
}

const route = (brokers: ReadonlyArray<BrokerSpec>, orderTopicConf?: string): TopicRouteData => ({
  ...(orderTopicConf === undefined ? {} : { orderTopicConf }),
  queueDatas: brokers.map(({ name, perm = 6, reads, writes }) => ({
    brokerName: name,
    readQueueNums: reads ?? writes,
    writeQueueNums: writes,
    perm,
    topicSysFlag: 0
  })),
  brokerDatas: brokers.map(({ ids = [0], name }) => ({
    cluster: "c",
    brokerName: name,
    brokerAddrs: new Map(ids.map((id) => [id, `${name}.example:${10_911 + id}`]))
  })),
  filterServerTable: new Map()
})

const info = (data: TopicRouteData, start = 0, borrowed = false) =>
  TopicPublishInfo.fromRoute(TopicPublishInfo.empty("t", start), { topic: "t", data, borrowed })

const names = (data: TopicRouteData) => info(data).queues.map((q) => `${q.brokerName}:${q.queueId}`)

describe("TopicPublishInfo", () => {
  it("lists the queues of all brokers by name and id, whatever order the route has", () => {
    const data = route([
      { name: "broker-b", writes: 2 },
      { name: "broker-a", writes: 3 }
    ])
    assert.deepStrictEqual(names(data), ["broker-a:0", "broker-a:1", "broker-a:2", "broker-b:0", "broker-b:1"])
    assert.strictEqual(info(data).brokerCount, 2)
    assert.isFalse(info(data).orderTopic)
  })

  it("N12: needs the write bit and a master, and counts write queues, not read queues", () => {
    assert.deepStrictEqual(names(route([{ name: "a", writes: 2, perm: 4 }])), [])
    assert.deepStrictEqual(names(route([{ name: "a", writes: 2, perm: 2 }])), ["a:0", "a:1"])
    assert.deepStrictEqual(names(route([{ name: "a", writes: 2, ids: [1, 2] }])), [])
    assert.deepStrictEqual(names(route([{ name: "a", writes: 1, reads: 8 }])), ["a:0"])
    assert.deepStrictEqual(names(route([{ name: "a", writes: 0, reads: 8 }])), [])
    const unknownBroker = { ...route([{ name: "a", writes: 1 }]), brokerDatas: [] }
    assert.deepStrictEqual(names(unknownBroker), [])
  })

  it("takes an order topic's queues from its configuration, in its order", () => {
    const data = route([{ name: "a", writes: 8, perm: 4 }], "b:2;a:1")
    assert.deepStrictEqual(names(data), ["b:0", "b:1", "a:0"])
    assert.isTrue(info(data).orderTopic)
    assert.isFalse(info(route([{ name: "a", writes: 1 }], "")).orderTopic)
    assert.deepStrictEqual(names(route([{ name: "a", writes: 1 }], "x;:3;b:-1;c:1e9;d:1.5;a:1;")), ["a:0"])
  })

  it("keeps the place of round robin when the route is replaced", () => {
    const before = info(route([{ name: "a", writes: 4 }]), 7)
    const after = TopicPublishInfo.fromRoute(before, {
      topic: "t",
      data: route([{ name: "a", writes: 8 }]),
      borrowed: false
    })
    assert.strictEqual(after.turn, before.turn)
    assert.strictEqual(after.turn.next, 7)
  })

  it("does not believe a route with absurdly many queues", () => {
    assert.isAtMost(info(route([{ name: "a", writes: 2_000_000_000 }])).queues.length, 65_536)
  })

  it.effect.prop(
    "N12: a route without a problem has queues, and one with a problem has none",
    { data: Arbitraries.topicRoute },
    ({ data }) =>
      Effect.sync(() => {
        assert.strictEqual(problemOf(data) === undefined, info(data).queues.length > 0)
      }),
    runs(300)
  )
})

describe("selectOneMessageQueue", () => {
  const brokers = Arbitrary.map(
    Arbitrary.array(int(1, 5), { minLength: 1, maxLength: 5 }),
    (counts): ReadonlyArray<BrokerSpec> => counts.map((writes, i) => ({ name: `broker-${i}`, writes }))
  )

  it.effect.prop(
    "k*n selections of n queues differ by at most one, wherever it begins",
    { brokers, rounds: int(1, 5), extra: int(0, 20), start: int(0, 0x3fffffff) },
    ({ brokers: specs, extra, rounds, start }) =>
      Effect.sync(() => {
        const publish = info(route(specs), start)
        const n = publish.queues.length
        const counts = new Map<unknown, number>(publish.queues.map((queue) => [queue, 0]))
        for (let i = 0; i < rounds * n + (extra % n); i++) {
          const queue = selectOneMessageQueue(publish, undefined)
          counts.set(queue, (counts.get(queue) ?? 0) + 1)
        }
        const all = [...counts.values()]
        assert.strictEqual(all.length, n)
        assert.isAtMost(Math.max(...all) - Math.min(...all), 1)
        if (extra % n === 0) assert.isTrue(all.every((count) => count === rounds))
      }),
    runs(300)
  )

  it.effect.prop(
    "avoids the last broker while another exists, and always gives a queue when there is one",
    { brokers, start: int(0, 0x3fffffff), last: int(0, 6), turns: int(1, 30) },
    ({ brokers: specs, last, start, turns }) =>
      Effect.sync(() => {
        const publish = info(route(specs), start)
        for (let i = 0; i < turns; i++) {
          const queue = selectOneMessageQueue(publish, `broker-${last}`)
          assert.isDefined(queue)
          if (specs.length > 1) assert.notStrictEqual(queue?.brokerName, `broker-${last}`)
        }
      }),
    runs(300)
  )

  it("gives nothing only when there is nothing", () => {
    assert.strictEqual(selectOneMessageQueue(TopicPublishInfo.empty("t", 3), undefined), undefined)
    assert.strictEqual(selectOneMessageQueue(TopicPublishInfo.empty("t", 3), "a"), undefined)
  })

  it("goes on where the count wraps", () => {
    const publish = info(route([{ name: "a", writes: 4 }]), 0x3ffffffe)
    const ids = Array.from({ length: 6 }, () => selectOneMessageQueue(publish, undefined)?.queueId)
    assert.deepStrictEqual(ids, [2, 3, 0, 1, 2, 3])
    assert.isAtMost(publish.turn.next, 0x3fffffff)
  })
})
