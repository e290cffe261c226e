/** A group of processes that come, leave and are killed all the time, on whatever cluster, and what has to hold of it. */
import { Effect, Exit, Fiber, Random } from "effect"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { make as makeObserver } from "../conformance/Observer.ts"
import { memberProcess } from "./memberProcess.ts"

/** Where, and for how long. */
export interface FlappingOptions {
  readonly namesrvAddr: string
  /** Exists, and only this run uses it. */
  readonly topic: string
  /** Of the topic. */
  readonly queues: ReadonlyArray<MessageQueue.MessageQueue>
  readonly group: string
  /** Milliseconds. */
  readonly millis: number
}

/** Members at once. */
const PLACES = 3
/** Milliseconds that a handler takes, between two sends, and between two looks at the offsets. */
const HANDLER = 10
const SENDS = 20
const LOOKS = 200
/** Milliseconds in which a member gets a message, or is ended all the same; and for how long it goes on then at most. */
const FIRST_MESSAGE = 8_000
const GOES_ON = 1_500
/** Milliseconds in which the last member has read the rest, alone. */
const READ_WITHIN = 90_000

/** Waits until a condition holds, or for so long; gives whether it does. */
const until = (condition: Effect.Effect<boolean>, millis: number) =>
  Effect.gen(function* () {
    const deadline = performance.now() + millis
    while (!(yield* condition)) {
      if (performance.now() > deadline) return false
      yield* Effect.sleep(20)
    }
    return true
  })

/** Runs it, and gives what did not hold: nothing is lost, no offset falls, and who is left alone owns everything. */
export const flapping = Effect.fnUntraced(function* ({ group, millis, namesrvAddr, queues, topic }: FlappingOptions) {
  const violations: Array<string> = []
  const handled: Array<string> = []
  const sent: Array<string> = []
  const ends = { SIGTERM: 0, SIGKILL: 0 }
  const times = { startTimeoutMillis: 60_000, pollNameServerInterval: 1_000, heartbeatBrokerInterval: 1_000 }
  const producer = yield* DefaultMQProducer.make({
    producerGroup: `${group}-sender`,
    instanceName: `${group}-sender`,
    namesrvAddr,
    sendMsgTimeout: 60_000,
    ...times
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  const observer = yield* makeObserver(namesrvAddr)

  const sending = yield* Effect.forkScoped(
    Effect.forever(
      Effect.suspend(() => {
        const body = `${sent.length}`
        return Effect.andThen(
          producer.send(Message.make({ topic, body })),
          Effect.suspend(() => (sent.push(body), Effect.sleep(SENDS)))
        )
      })
    )
  )
  const last = new Map<string, number>()
  const looking = yield* Effect.forkScoped(
    Effect.forEach(queues, (queue) =>
      Effect.map(Effect.exit(observer.committed(queue, group)), (exit) => {
        const key = MessageQueue.key(queue)
        const offset = Exit.isSuccess(exit) ? exit.value : undefined
        if (offset === undefined) return
        const before = last.get(key) ?? 0
        if (offset < before) violations.push(`the offset of ${key} fell from ${before} to ${offset}`)
        last.set(key, offset)
      })
    ).pipe(Effect.andThen(Effect.sleep(LOOKS)), Effect.forever)
  )

  const deadline = performance.now() + millis
  const life = Effect.gen(function* () {
    const child = yield* memberProcess(namesrvAddr, topic, group, HANDLER)
    yield* until(
      Effect.sync(() => child.seen.length > 0),
      FIRST_MESSAGE
    )
    yield* Effect.sleep(yield* Random.nextIntBetween(0, GOES_ON))
    const end = (yield* Random.nextBoolean) ? "SIGTERM" : "SIGKILL"
    ends[end]++
    yield* child.signal(end)
    yield* child.end
    handled.push(...child.seen)
  }).pipe(Effect.scoped)
  const place = Effect.whileLoop({ while: () => performance.now() < deadline, body: () => life, step: () => undefined })
  yield* Effect.all(
    Array.from({ length: PLACES }, () => place),
    { concurrency: "unbounded", discard: true }
  )
  yield* Fiber.interrupt(sending)

  const alone = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup: group,
      instanceName: `${group}-alone`,
      subscriptions: [Subscription.all(topic)],
      namesrvAddr,
      consumeFromWhere: "first",
      ...times
    },
    ({ body }) => Effect.sync(() => void handled.push(new TextDecoder().decode(body)))
  )
  yield* Effect.acquireRelease(alone.start, () => alone.shutdown)
  const missing = () => {
    const seen = new Set(handled)
    return sent.filter((body) => !seen.has(body))
  }
  if (
    !(yield* until(
      Effect.sync(() => missing().length === 0),
      READ_WITHIN
    ))
  ) {
    violations.push(`nobody has handled ${missing().length} of ${sent.length}: ${missing().slice(0, 10).join()}`)
  }
  const owned = Effect.map(alone.assignment, (all) => all.filter((queue) => queue.topic === topic).length)
  if (
    !(yield* until(
      Effect.map(owned, (count) => count === queues.length),
      READ_WITHIN
    ))
  ) {
    violations.push(`who is left alone owns ${yield* owned} queues of ${queues.length}`)
  }
  yield* Fiber.interrupt(looking)
  return { violations, sent: sent.length, twice: handled.length - new Set(handled).size, ends }
})
