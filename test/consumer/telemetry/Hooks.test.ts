import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../../src/consumer/MessageStream.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import {
  type ConsumeMessageContext,
  type ConsumeMessageHook,
  ConsumeMessageHooks,
  type ConsumeMessageOutcome,
  type DeadLetterContext,
  DeadLetterHooks,
  type FilterMessageHook,
  FilterMessageHooks
} from "../../../src/consumer/telemetry/Hooks.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { settle } from "../../support/rig.ts"
import { consume, namesrvAddr, rig, text } from "../support.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
const sendAll = (...bodies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { send } = yield* DefaultMQProducer
    for (const body of bodies) yield* send(Message.make({ topic: "orders", body }), { queue })
  })

/** Consumes with hooks what is there, until it has caught up. */
const consumed = <E>(
  hooks: ReadonlyArray<ConsumeMessageHook>,
  handler: MessageListener.Handler<E, never> | MessageListener.MessageListener<E, never>,
  options: Partial<PushConsumerOptions> = {}
) =>
  Effect.gen(function* () {
    const consumer = yield* consume(handler, { consumeFromWhere: "first", ...options })
    yield* consumer.caughtUp()
    yield* settle
    return yield* consumer.state
  }).pipe(Effect.provideService(ConsumeMessageHooks, hooks))

/** Keeps the lines that are logged. */
const lines = () => {
  const found: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void found.push(`${logLevel} ${String(message)}`))
  return { found, layer: Logger.layer([logger]) }
}

describe("hooks around a handler", () => {
  it.effect("run in their order around it, and see the messages and what became of them", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const contexts: Array<ConsumeMessageContext> = []
      const outcomes: Array<ConsumeMessageOutcome> = []
      const hook = (hookName: string): ConsumeMessageHook => ({
        hookName,
        before: (context) =>
          Effect.sync(() => {
            order.push(`before ${hookName}`)
            contexts.push(context)
          }),
        after: (_, outcome) =>
          Effect.sync(() => {
            order.push(`after ${hookName}`)
            outcomes.push(outcome)
          })
      })
      yield* sendAll("7")
      const state = yield* consumed([hook("a"), hook("b")], () => Effect.sync(() => void order.push("handler")))
      assert.deepStrictEqual(order, ["before a", "before b", "handler", "after a", "after b"])
      assert.strictEqual(contexts[0]?.consumerGroup, "billing")
      assert.deepStrictEqual(contexts[0]?.queue, queue)
      assert.deepStrictEqual(contexts[0]?.messages.map(text), ["7"])
      assert.deepInclude(outcomes[0], { status: "SUCCESS", success: true, cause: undefined })
      assert.deepStrictEqual(outcomes[0]?.results, [ConsumeResult.success])
      assert.deepStrictEqual(state.hooks, { failures: 0 })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("see a failure with its cause, what its listener makes of it, and a batch that is consumed in part", () =>
    Effect.gen(function* () {
      const outcomes: Array<ConsumeMessageOutcome> = []
      const hook: ConsumeMessageHook = {
        hookName: "look",
        after: (_, outcome) => Effect.sync(() => void outcomes.push(outcome))
      }
      let asked = 0
      yield* sendAll("7", "8")
      yield* consumed(
        [hook],
        MessageListener.concurrently(() => Effect.fail("no money"), {
          onFailure: (error) => {
            asked++
            return ConsumeResult.deadLetter(error)
          }
        })
      )
      assert.strictEqual(asked, 2, "onFailure is asked once for each")
      assert.deepInclude(outcomes[0], { status: "EXCEPTION", success: false })
      assert.deepStrictEqual(outcomes[0]?.results, [ConsumeResult.deadLetter("no money")])
      const [reason] = outcomes[0]?.cause?.reasons ?? []
      assert.isTrue(reason?._tag === "Fail" && reason.error === "no money")
      outcomes.length = 0
      yield* consumed(
        [hook],
        MessageListener.batch({ maxSize: 2 }, () => Effect.succeed(MessageListener.BatchResult.ackIndex(0))),
        { consumerGroup: "other" }
      )
      assert.deepInclude(outcomes[0], { status: "FAILED", success: false })
      assert.deepStrictEqual(
        outcomes[0]?.results.map(({ _tag }) => _tag),
        ["Success", "ReconsumeLater"]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  const wrong: ReadonlyArray<readonly [string, () => Effect.Effect<void, unknown>]> = [
    ["fails", () => Effect.fail("no")],
    ["dies", () => Effect.die(new Error("broken"))],
    [
      "throws",
      () => {
        throw new Error("thrown")
      }
    ]
  ]
  for (const [how, run] of wrong) {
    it.effect(`one that ${how} is logged once, counted every time, and changes nothing`, () =>
      Effect.gen(function* () {
        const log = lines()
        yield* sendAll("1", "2", "3")
        const state = yield* consumed([{ hookName: "bad", before: run, after: run }], () => Effect.void).pipe(
          Effect.provide(log.layer)
        )
        assert.deepStrictEqual(state.hooks, { failures: 6 })
        assert.strictEqual(state.counters.succeeded, 3)
        const about = log.found.filter((line) => line.includes("hook bad"))
        assert.strictEqual(about.length, 2, about.join("\n"))
        assert.isTrue(about.every((line) => line.startsWith("Warn")))
      }).pipe(Effect.scoped, Effect.provide(rig()))
    )
  }

  it.effect("one that hangs is given up after a second, and the handler goes on", () =>
    Effect.gen(function* () {
      const handled = yield* Deferred.make<void>()
      yield* sendAll("1")
      const consumer = yield* consume(() => Effect.asVoid(Deferred.succeed(handled, undefined)), {
        consumeFromWhere: "first"
      }).pipe(Effect.provideService(ConsumeMessageHooks, [{ hookName: "slow", before: () => Effect.never }]))
      yield* TestClock.adjust("999 millis")
      assert.isFalse(yield* Deferred.isDone(handled))
      yield* TestClock.adjust("1 millis")
      yield* consumer.caughtUp()
      assert.isTrue(yield* Deferred.isDone(handled))
      assert.deepStrictEqual((yield* consumer.state).hooks, { failures: 1 })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("of a stream run when a message is handed out, and when it is settled, too late or nobody's", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* sendAll("acked", "nacked", "late", "left")
      const hook: ConsumeMessageHook = {
        hookName: "look",
        before: ({ messages: [message] }) => Effect.sync(() => void seen.push(`before ${text(message)}`)),
        after: ({ messages: [message] }, { results, status }) =>
          Effect.sync(() => void seen.push(`${text(message)} ${status} ${results.map(({ _tag }) => _tag).join()}`))
      }
      const stream = MessageStream.make({
        consumerGroup: "search",
        subscriptions: [Subscription.all("orders")],
        consumeFromWhere: "first",
        consumeTimeout: "2 seconds",
        namesrvAddr
      })
      const fiber = yield* stream.pipe(
        Stream.mapEffect(({ ack, message, nack }) => {
          const body = text(message)
          return body === "acked" ? ack : body === "nacked" ? nack("1 hours") : Effect.succeed("already" as const)
        }),
        Stream.runDrain,
        Effect.provideService(ConsumeMessageHooks, [hook]),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* settle
      assert.deepStrictEqual(seen, [
        "before acked",
        "acked SUCCESS Success",
        "before nacked",
        "nacked FAILED ReconsumeLater",
        "before late",
        "before left"
      ])
      seen.length = 0
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(seen, ["late TIME_OUT ReconsumeLater", "left TIME_OUT ReconsumeLater"])
      yield* sendAll("open")
      yield* settle
      seen.length = 0
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(seen, ["open EXCEPTION "])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("filters", () => {
  const odd: FilterMessageHook = {
    hookName: "odd",
    filterMessage: ({ messages }) => Effect.succeed(messages.filter((message) => Number(text(message)) % 2 === 1))
  }

  it.effect("choose what handlers get; the rest is finished and counted, its offset committed", () =>
    Effect.gen(function* () {
      const got: Array<string> = []
      const large: FilterMessageHook = {
        hookName: "large",
        filterMessage: ({ messages }) => Effect.succeed(messages.filter((message) => Number(text(message)) > 2))
      }
      yield* sendAll("1", "2", "3", "4", "5", "6")
      const consumer = yield* consume((message) => Effect.sync(() => void got.push(text(message))), {
        consumeFromWhere: "first"
      }).pipe(Effect.provideService(FilterMessageHooks, [odd, large]))
      yield* consumer.caughtUp()
      assert.deepStrictEqual(got, ["3", "5"])
      const state = yield* consumer.state
      assert.deepInclude(state.counters, { received: 6, filtered: 4, succeeded: 2 })
      assert.strictEqual(state.queues.find((one) => one.queue.queueId === 0 && one.maxOffset === 6)?.consumeOffset, 6)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("one that goes wrong lets all pass, also what it gives of its own", () =>
    Effect.gen(function* () {
      const got: Array<string> = []
      yield* sendAll("1", "2", "3")
      const broken: FilterMessageHook = { hookName: "broken", filterMessage: () => Effect.die("broken") }
      const forger: FilterMessageHook = {
        hookName: "forger",
        filterMessage: ({ messages }) => Effect.succeed([...messages, ...messages.map((one) => ({ ...one }))])
      }
      const consumer = yield* consume((message) => Effect.sync(() => void got.push(text(message))), {
        consumeFromWhere: "first"
      }).pipe(Effect.provideService(FilterMessageHooks, [broken, forger, odd]))
      yield* consumer.caughtUp()
      assert.deepStrictEqual(got, ["1", "3"])
      assert.isAbove((yield* consumer.state).hooks.failures, 0)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

/** Keeps what is told of dead letters. */
const mourning = (found: Array<DeadLetterContext>) =>
  Effect.provideService(DeadLetterHooks, [
    { hookName: "mourn", deadLettered: (context) => Effect.sync(() => void found.push(context)) }
  ])

describe("dead letters", () => {
  it.effect("are told when a handler asked for that, with its reason", () =>
    Effect.gen(function* () {
      const found: Array<DeadLetterContext> = []
      const { messages } = yield* EmbeddedCluster
      yield* sendAll("7", "8")
      const consumer = yield* consume(
        (message) =>
          Effect.succeed(text(message) === "7" ? ConsumeResult.deadLetter("declined") : ConsumeResult.success),
        { consumeFromWhere: "first" }
      ).pipe(mourning(found))
      yield* consumer.caughtUp()
      yield* settle
      assert.deepStrictEqual(
        found.map(({ because, deadLetterTopic, message, reason }) => [text(message), because, reason, deadLetterTopic]),
        [["7", "asked", "declined", "%DLQ%billing"]]
      )
      assert.deepStrictEqual((yield* messages("%DLQ%billing")).map(text), ["7"])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("are told when the redeliveries are used up, and not before a broker has taken the message", () =>
    Effect.gen(function* () {
      const found: Array<DeadLetterContext> = []
      const { faults, messages } = yield* EmbeddedCluster
      yield* sendAll("7")
      const consumer = yield* consume(() => Effect.fail("never"), {
        consumeFromWhere: "first",
        maxReconsumeTimes: 1
      }).pipe(mourning(found))
      yield* consumer.caughtUp()
      yield* settle
      assert.deepStrictEqual(found, [])
      for (const code of [RequestCode.CONSUMER_SEND_MSG_BACK, RequestCode.SEND_MESSAGE_V2]) {
        yield* faults.add({ match: { code }, actions: [FaultScript.answer(1, "not now")], times: 1 })
      }
      yield* TestClock.adjust("11 seconds")
      yield* settle
      assert.deepStrictEqual(found, [])
      assert.deepStrictEqual(yield* messages("%DLQ%billing"), [])
      yield* TestClock.adjust("10 seconds")
      yield* settle
      assert.deepStrictEqual(
        found.map(({ because, message, reason }) => [text(message), message.attempt, because, reason]),
        [["7", 2, "max-reconsume-times", undefined]]
      )
      assert.deepStrictEqual((yield* messages("%DLQ%billing")).map(text), ["7"])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("are told of messages in order, too, that were tried often enough", () =>
    Effect.gen(function* () {
      const found: Array<DeadLetterContext> = []
      yield* sendAll("7", "8")
      const consumer = yield* consume(
        MessageListener.orderly((message) => (text(message) === "7" ? Effect.fail("never") : Effect.void)),
        { consumeFromWhere: "first", maxReconsumeTimes: 1 }
      ).pipe(mourning(found))
      yield* settle
      yield* TestClock.adjust("3 seconds")
      yield* consumer.caughtUp()
      yield* settle
      assert.deepStrictEqual(
        found.map(({ because, message }) => [text(message), because]),
        [["7", "max-reconsume-times"]]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
