import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as TopicRouteData from "../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { failureOf, onMemory, startProducer, text, timed, valueOf } from "../support/rig.ts"

const instance = (given: ClientConfig.ClientOptions = {}) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const manager = yield* MQClientManager
    return yield* manager.getOrCreateMQClientInstance(yield* ClientConfig.check({ namesrvAddr, ...given }))
  })

/** Answers every look-up of a topic with this route. */
const answering = (topic: string, route: TopicRouteData.TopicRouteData) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    faults.add({
      match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic },
      actions: [
        {
          _tag: "Answer",
          response: { code: 0, body: TopicRouteData.encode(route, { standardJson: true }) }
        }
      ]
    })
  )

const routeOf = (
  address: string,
  queues: number,
  more: Partial<TopicRouteData.TopicRouteData> = {}
): TopicRouteData.TopicRouteData => ({
  brokerDatas: [{ brokerName: "broker-a", cluster: "c", brokerAddrs: new Map([[0, address]]) }],
  queueDatas: [{ brokerName: "broker-a", perm: 6, readQueueNums: queues, writeQueueNums: queues, topicSysFlag: 0 }],
  filterServerTable: new Map(),
  ...more
})

const cluster = { topics: { orders: { writeQueueNums: 2, readQueueNums: 2 } }, recordTraffic: true }

/** The topics whose routes were asked for. */
const lookedUp = Effect.gen(function* () {
  const { traffic } = yield* EmbeddedCluster
  return (yield* traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC)).map(({ topic }) => topic)
})

describe("the template topic", () => {
  it.effect("createTopicKey is the topic whose route is borrowed", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ createTopicKey: "template", readiness: "lazy", defaultTopicQueueNums: 2 })
      const { queue } = yield* producer.send(text("fresh"))
      assert.isBelow(queue.queueId, 2)
      const asked = yield* lookedUp
      assert.includeMembers(asked, ["fresh", "template"])
      assert.notInclude(asked, "TBW102")
    }).pipe(onMemory({ ...cluster, topics: { template: { perm: 7, writeQueueNums: 3, readQueueNums: 3 } } }))
  )

  it.effect("one that nobody has lends nothing, though TBW102 is there", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ createTopicKey: "template", readiness: "lazy" })
      const { outcome, reason } = failureOf((yield* timed(producer.send(text("fresh")))).exit)
      assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "topic-absent" })
      assert.strictEqual(outcome, "not-sent")
    }).pipe(onMemory(cluster))
  )

  it.effect("is in no namespace, as the send that names it", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ createTopicKey: "template", readiness: "lazy", namespace: "ns" })
      yield* producer.send(text("fresh"))
      assert.includeMembers(yield* lookedUp, ["ns%fresh", "template"])
    }).pipe(onMemory({ ...cluster, topics: { template: { perm: 7 } } }))
  )

  it.effect("two producers of one instance borrow each from their own", () =>
    Effect.gen(function* () {
      const shared = { instanceName: "shared", readiness: "lazy" } as const
      const one = yield* startProducer({ ...shared, producerGroup: "one", createTopicKey: "template" })
      const two = yield* startProducer({ ...shared, producerGroup: "two", createTopicKey: "nobody's" })
      const [first, second] = yield* Effect.all([timed(one.send(text("fresh"))), timed(two.send(text("fresh2")))], {
        concurrency: 2
      })
      valueOf(first.exit)
      assert.strictEqual(failureOf(second.exit).reason._tag, "RouteUnavailable")
    }).pipe(onMemory({ ...cluster, topics: { template: { perm: 7 } } }))
  )
})

describe("a route that cannot be used as it is", () => {
  it.effect("more queues than a topic can have: the route known before stays, and the error has the figures", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const { routes } = yield* instance()
      const before = yield* routes.updateTopicRouteInfoFromNameServer("orders", undefined)
      yield* answering("orders", routeOf(brokers[0]?.address ?? "", 70_000))
      const error = yield* Effect.flip(routes.updateTopicRouteInfoFromNameServer("orders", undefined))
      assert.deepInclude(error, { _tag: "RouteUnavailable", topic: "orders", problem: "too-many-queues" })
      assert.include(error.message, "70000")
      assert.include(error.message, "65536")
      assert.isFalse(error._tag === "RouteUnavailable" && error.retryable)
      assert.strictEqual(routes.topicRouteTable.get("orders"), before)
      assert.strictEqual(routes.findBrokerAddressInPublish("broker-a"), brokers[0]?.address)
    }).pipe(onMemory(cluster))
  )

  it.effect("the broker of a logical queue is the one of the latest epoch, of the route as it is now", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const { routes } = yield* instance()
      const queue = { topic: "static", brokerName: "__syslo____global__", queueId: 0 }
      assert.strictEqual(routes.brokerNameOf(queue), queue.brokerName)
      for (const bname of ["broker-a", "broker-b"]) {
        const mapping = { scope: "__global__", totalQueues: 1, epoch: 1, bname, currIdMap: new Map([[0, 0]]) }
        yield* faults.clear
        yield* answering(
          "static",
          routeOf("127.0.0.1:1", 1, { topicQueueMappingByBroker: new Map([["broker-a", mapping]]) })
        )
        yield* routes.updateTopicRouteInfoFromNameServer("static", undefined)
        assert.strictEqual(routes.brokerNameOf(queue), bname)
        assert.strictEqual(routes.brokerNameOf({ ...queue, brokerName: "broker-c" }), "broker-c")
      }
    }).pipe(onMemory(cluster))
  )
})
