import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Counters from "../../../src/consumer/ConsumerCounters.ts"
import * as PollBuffer from "../../../src/consumer/lite/PollBuffer.ts"
import { ProcessQueue } from "../../../src/consumer/queue/ProcessQueue.ts"
import { TopicStats } from "../../../src/consumer/queue/TopicStats.ts"
import { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import { nobody } from "../../../src/consumer/telemetry/ConsumerObserver.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"

type Queue = ProcessQueue<ReceivedMessage>

const QUEUES = 3

/** What may happen to a buffer: to the queue of a number, of which there is none at first. */
const Step = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("Take"), queue: Schema.Literals([0, 1, 2]) }),
  Schema.Struct({
    _tag: Schema.tag("Offer"),
    queue: Schema.Literals([0, 1, 2]),
    count: Schema.Literals([1, 2, 5])
  }),
  Schema.Struct({ _tag: Schema.tag("Pause"), queue: Schema.Literals([0, 1, 2]), paused: Schema.Boolean }),
  Schema.Struct({ _tag: Schema.tag("Revoke"), queue: Schema.Literals([0, 1, 2]) }),
  Schema.Struct({ _tag: Schema.tag("Seek"), queue: Schema.Literals([0, 1, 2]) }),
  Schema.Struct({ _tag: Schema.tag("Poll"), max: Schema.Literals([1, 3, 8]), waits: Schema.Boolean }),
  Schema.Struct({ _tag: Schema.tag("Interrupt") })
])

const harness = Effect.gen(function* () {
  const paused = new Set<string>()
  const totals = { count: 0, bytes: 0 }
  const counters = Counters.make()
  const buffer = yield* PollBuffer.make({
    counters,
    observer: nobody,
    now: () => 0,
    isPaused: (queue) => paused.has(MessageQueue.key(queue))
  })
  let generation = 0
  const take = (id: number): Queue => {
    const queue: Queue = new ProcessQueue(
      MessageQueue.make("orders", "broker-a", id),
      ++generation,
      0,
      new TopicStats(0),
      totals,
      () => {}
    )
    queue.locate(0)
    buffer.taken?.(queue)
    return queue
  }
  /** The next messages of a queue, as an answer brings them. */
  const offer = (queue: Queue, count: number) => {
    const from = queue.nextOffset
    queue.nextOffset += count
    buffer.offer(
      queue,
      Array.from({ length: count }, (_, n) => {
        const message = ReceivedMessage.make({
          topic: "orders",
          body: `${queue.generation}`,
          brokerName: "broker-a",
          queueId: queue.messageQueue.queueId,
          queueOffset: from + n
        })
        return queue.accept(message, from + n, 1) ?? assert.fail("it was taken over before")
      })
    )
  }
  return { buffer, counters, paused, totals, take, offer }
})

describe("PollBuffer", () => {
  it.effect.prop(
    "whatever comes, goes and is paused: in order by queue, nothing twice, nothing of a queue that is gone, nothing left out",
    { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 10, maxLength: 60 }) },
    ({ steps }) =>
      Effect.gen(function* () {
        const { buffer, counters, offer, paused, take, totals } = yield* harness
        const owned: Array<Queue | undefined> = Array.from({ length: QUEUES }, () => undefined)
        /** By generation, the next offset that is to come. */
        const next = new Map<number, number>()
        let given = 0
        const pollers: Array<Fiber.Fiber<void>> = []
        const see = (messages: ReadonlyArray<ReceivedMessage>) => {
          for (const { body, queue, queueOffset } of messages) {
            const generation = Number(new TextDecoder().decode(body))
            const present = owned[queue.queueId]
            assert.strictEqual(present?.generation, generation, "of a generation that is over")
            assert.isFalse(paused.has(MessageQueue.key(queue)), "of a queue that is paused")
            assert.strictEqual(queueOffset, next.get(generation) ?? 0)
            next.set(generation, queueOffset + 1)
            assert.isAbove(present?.consumeOffset ?? -1, queueOffset, "its position is behind what was given")
            given++
          }
        }
        const leave = (queue: Queue | undefined) => {
          if (queue === undefined) return
          queue.drop()
          buffer.drop(queue)
        }
        for (const step of steps) {
          switch (step._tag) {
            case "Take":
              owned[step.queue] ??= take(step.queue)
              break
            case "Offer": {
              const queue = owned[step.queue]
              if (queue !== undefined) offer(queue, step.count)
              break
            }
            case "Pause": {
              const key = MessageQueue.key(MessageQueue.make("orders", "broker-a", step.queue))
              if (step.paused) paused.add(key)
              else paused.delete(key)
              buffer.paused?.()
              break
            }
            case "Revoke":
              leave(owned[step.queue])
              owned[step.queue] = undefined
              break
            case "Seek": {
              const before = owned[step.queue]
              leave(before)
              if (before !== undefined) owned[step.queue] = take(step.queue)
              break
            }
            case "Poll":
              pollers.push(
                yield* Effect.forkChild(Effect.map(buffer.poll(step.max, step.waits ? 1_000 : 0), see), {
                  startImmediately: true
                })
              )
              break
            default: {
              const last = pollers.pop()
              if (last !== undefined) yield* Fiber.interrupt(last)
            }
          }
        }
        paused.clear()
        buffer.paused?.()
        yield* TestClock.adjust("2 seconds")
        for (const poller of pollers) yield* Fiber.join(poller)
        for (let more = 1; more > 0;) {
          const messages = yield* buffer.poll(2, 0)
          see(messages)
          more = messages.length
        }
        // All that came of what is owned was given, and counts nowhere any more.
        for (const queue of owned) {
          if (queue === undefined) continue
          assert.strictEqual(next.get(queue.generation) ?? 0, queue.nextOffset)
          assert.strictEqual(queue.consumeOffset, queue.nextOffset)
        }
        assert.deepStrictEqual([totals.count, totals.bytes, buffer.waiting()], [0, 0, 0])
        assert.strictEqual(counters.succeeded, given)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 300 } }
  )
})
