import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as ClientConfig from "../../../src/client/ClientConfig.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as Counters from "../../../src/consumer/ConsumerCounters.ts"
import * as PullLoop from "../../../src/consumer/pull/PullLoop.ts"
import { ProcessQueue } from "../../../src/consumer/queue/ProcessQueue.ts"
import { TopicStats } from "../../../src/consumer/queue/TopicStats.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { nobody } from "../../../src/consumer/telemetry/ConsumerObserver.ts"
import { brokerAddress, consumerHeartbeat, rawClient, sendRequest } from "../../embedded/support.ts"
import { namesrvAddr, rig } from "../support.ts"

const STEPS = ["subscriptionOf", "room", "found", "passed", "received", "tell"] as const
type Step = (typeof STEPS)[number]

const bug = (): never => {
  throw new Error("a bug of ours")
}

describe("a pull loop", () => {
  for (const step of STEPS) {
    it.effect(`R12: a defect in ${step} does not end it: the next pull follows`, () =>
      Effect.gen(function* () {
        const address = yield* brokerAddress()
        const client = yield* rawClient()
        const beat = client.call(address, consumerHeartbeat("10.0.0.1@1", "billing", ["orders"]))
        yield* beat
        const manager = yield* MQClientManager
        const instance = yield* manager.getOrCreateMQClientInstance(yield* ClientConfig.check({ namesrvAddr }))
        yield* instance.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
        const queue = new ProcessQueue<ReceivedMessage>(
          { topic: "orders", brokerName: "broker-a", queueId: 0 },
          1,
          0,
          new TopicStats(0),
          { count: 0, bytes: 0 },
          () => {}
        )
        queue.locate(0)
        const found: Array<number> = []
        let thrown = 0
        /** Throws the first time. */
        const once = (name: Step) => {
          if (name === step && thrown++ === 0) bug()
        }
        let now = 0
        const context: PullLoop.PullContext = {
          instance,
          group: "billing",
          counters: Counters.make(),
          observer: { ...nobody, received: () => once("received") },
          pullBatchSizeInBytes: 262_144,
          pullIntervalMillis: 0,
          failurePauseMillis: 1_000,
          postSubscription: false,
          litePull: undefined,
          commitsOnPull: true,
          subscriptionOf: () => {
            once("subscriptionOf")
            return Subscription.dataOf(Subscription.all("orders"), 7)
          },
          room: () => {
            once("room")
            return 32
          },
          awaitRoom: () => Effect.never,
          found: (_, __, messages) =>
            Effect.sync(() => {
              once("found")
              for (const { queueOffset } of messages) found.push(queueOffset)
            }),
          outlive: (_, __, pull) => pull,
          former: () => [],
          passed: () => once("passed"),
          advanced: () => {},
          moved: () => Effect.void,
          introduce: Effect.asVoid(Effect.ignore(beat)),
          tell: () => Effect.sync(() => once("tell")),
          now: () => (now += 2_000),
          chance: () => 0
        }
        yield* instance.pullMessageService.start("a queue", PullLoop.run(context, queue))
        // An answer that is an error, and one without a message, so that every step has its turn.
        yield* TestClock.adjust("20 seconds")
        if (step === "tell") {
          yield* client.call(address, {
            code: 35,
            extFields: { clientID: "10.0.0.1@1", consumerGroup: "billing" }
          })
        }
        yield* TestClock.adjust("40 seconds")
        for (let n = 0; n < 3; n++) yield* client.call(address, sendRequest({ topic: "orders", queueId: 0 }))
        yield* TestClock.adjust("40 seconds")
        assert.isAtLeast(thrown, 1, "the step was reached")
        assert.deepStrictEqual([...new Set(found)], [0, 1, 2])
        queue.drop()
        yield* instance.pullMessageService.stop("a queue")
      }).pipe(Effect.scoped, Effect.provide(rig()))
    )
  }
})
