import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Latch } from "effect"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { EmbeddedCluster, LeakCheck } from "../../src/testing/index.ts"
import { onMemory, onTcp, startProducer } from "../support/rig.ts"
import { everyFault, faultCluster, injecting, observed, type Subject } from "../support/startFaults.ts"

/** A start that runs every step there is. */
const makeConsumer = (given: Partial<PushConsumerOptions> = {}) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
    DefaultMQPushConsumer.make(
      {
        consumerGroup: "cg",
        subscriptions: [Subscription.all("orders")],
        instanceName: "same",
        namesrvAddr,
        ...given
      },
      () => Effect.void
    )
  )

/** Whether the consumer gets what is sent. */
const canReceive = (consumer: DefaultMQPushConsumerShape) =>
  Effect.gen(function* () {
    const before = (yield* consumer.state).counters.succeeded
    const producer = yield* startProducer({ instanceName: "sender" })
    yield* producer.send(Message.make({ topic: "orders", body: "hello" }))
    yield* consumer.caughtUp()
    return (yield* consumer.state).counters.succeeded === before + 1
  }).pipe(Effect.scoped)

const subject: Subject<DefaultMQPushConsumerShape> = {
  make: makeConsumer(),
  start: (consumer) => consumer.start,
  holdsNothing: (consumer, about) =>
    Effect.map(consumer.state, ({ instance, queues, running }) =>
      assert.deepStrictEqual([instance, queues, running], [undefined, [], 0], about)
    ),
  works: canReceive,
  instanceStep: "5.4 get or create MQClientInstance",
  leastSteps: 17
}

describe("a consumer's start-up runs", () => {
  it.effect("the flow's steps, in the flow's order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        (yield* observed(subject)).map((step) => step.split(" ")[0]),
        [
          "5.1",
          "5.2",
          "5.3",
          "5.4",
          "3.1",
          "3.3",
          "3.4",
          "3.5",
          "3.6",
          "3.7",
          "3.8",
          "5.5",
          "5.6",
          "5.7",
          "5.8",
          "5.9",
          "5.10"
        ]
      )
    }).pipe(onMemory(faultCluster))
  )
})

everyFault(
  subject,
  (when) => `C-04: a fault ${when} each step leaves nothing behind`,
  () => ""
)

describe("on sockets", () => {
  for (const step of ["5.5 make the workers", "5.9 heartbeat to all brokers", "5.10 the first round of rebalance"]) {
    for (const kind of ["fail", "interrupt"] as const) {
      it.live(`${kind} after ${step} leaves no socket, timer or server behind`, () =>
        LeakCheck.check(
          Effect.gen(function* () {
            const consumer = yield* makeConsumer()
            const reached = Latch.makeUnsafe()
            const exit = yield* Effect.exit(injecting({ step, when: "after", kind }, reached)(consumer.start))
            assert.isTrue(Exit.isFailure(exit) && reached.isOpen())
            const next = yield* makeConsumer()
            yield* next.start
            assert.isTrue(yield* canReceive(next))
            yield* next.shutdown
          }).pipe(onTcp(faultCluster))
        )
      )
    }
  }
})
