import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import {
  type CheckForbiddenHook,
  CheckForbiddenHooks,
  type SendMessageContext,
  type SendMessageHook,
  SendMessageHooks,
  type SendMessageOutcome
} from "../../../src/producer/telemetry/Hooks.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import { SendForbidden } from "../../../src/producer/send/SendError.ts"
import { advance, failureOf, onMemory, startProducer, text, timed, valueOf } from "../../support/rig.ts"

const cluster = { topics: { orders: {} } }

const startWith = (
  hooks: ReadonlyArray<SendMessageHook>,
  checks: ReadonlyArray<CheckForbiddenHook> = [],
  given: Partial<ProducerOptions> = {}
) =>
  startProducer(given).pipe(
    Effect.provideService(SendMessageHooks, hooks),
    Effect.provideService(CheckForbiddenHooks, checks)
  )

/** Keeps the lines that are logged. */
const lines = () => {
  const found: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void found.push(`${logLevel} ${String(message)}`))
  return { found, layer: Logger.layer([logger]) }
}

const refuses = (hookName: string): CheckForbiddenHook => ({
  hookName,
  checkForbidden: ({ topic }) => Effect.fail(new SendForbidden({ topic, hook: hookName, problem: "it is Sunday" }))
})

describe("hooks around a send", () => {
  it.effect("see the message before, and what became of it after", () =>
    Effect.gen(function* () {
      const before: Array<SendMessageContext> = []
      const after: Array<SendMessageOutcome> = []
      const producer = yield* startWith([
        {
          hookName: "look",
          before: (context) => Effect.sync(() => void before.push(context)),
          after: (_, outcome) => Effect.sync(() => void after.push(outcome))
        }
      ])
      const message = Message.make({
        topic: "orders",
        body: "7",
        tags: "created",
        keys: ["a", "b"],
        properties: { mine: "yes" }
      })
      const result = yield* producer.send(message)
      assert.strictEqual(before.length, 1)
      const [context] = before
      assert.strictEqual(context?.producerGroup, "pg")
      assert.strictEqual(context?.topic, "orders")
      assert.strictEqual(context?.msgId, result.msgId)
      assert.strictEqual(context?.messageType, "normal")
      assert.strictEqual(context?.tags, "created")
      assert.deepStrictEqual(context?.keys, ["a", "b"])
      assert.strictEqual(context?.properties["mine"], "yes")
      assert.strictEqual(new TextDecoder().decode(context?.body), "7")
      assert.isFalse(context?.oneway)
      assert.deepStrictEqual(after.map(Exit.isSuccess), [true])
      assert.deepStrictEqual(valueOf(after[0] ?? Exit.die("none")), result)
      yield* producer.sendOneway(text("orders"))
      assert.isTrue(before[1]?.oneway)
      assert.isUndefined(valueOf(after[1] ?? Exit.die("none")))
    }).pipe(onMemory(cluster))
  )

  it.effect("see a failure and an interruption too", () =>
    Effect.gen(function* () {
      const after: Array<SendMessageOutcome> = []
      const producer = yield* startWith(
        [{ hookName: "look", after: (_, outcome) => Effect.sync(() => void after.push(outcome)) }],
        [],
        { sendMsgTimeout: 500 }
      )
      yield* producer.send(text("orders"))
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { code: 310 }, actions: [{ _tag: "DropRequest" }] })
      const { exit } = yield* timed(producer.send(text("orders")))
      assert.strictEqual(failureOf(after[1] ?? Exit.die("none")), failureOf(exit))
      const sending = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      yield* Fiber.interrupt(sending)
      assert.isTrue(Exit.hasInterrupts(after[2] ?? Exit.die("none")))
    }).pipe(onMemory(cluster))
  )

  it.effect("run in their order, and none without hooks", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const hook = (hookName: string): SendMessageHook => ({
        hookName,
        before: () => Effect.sync(() => void order.push(`before ${hookName}`)),
        after: () => Effect.sync(() => void order.push(`after ${hookName}`))
      })
      const check: CheckForbiddenHook = {
        hookName: "c",
        checkForbidden: () => Effect.sync(() => void order.push("check c"))
      }
      const producer = yield* startWith([hook("a"), hook("b")], [check])
      yield* producer.send(text("orders"))
      assert.deepStrictEqual(order, ["check c", "before a", "before b", "after a", "after b"])
      const other = yield* startProducer({ producerGroup: "other" })
      yield* other.send(text("orders"))
      assert.strictEqual(order.length, 5)
    }).pipe(onMemory(cluster))
  )
})

describe("a hook that goes wrong", () => {
  const wrong: ReadonlyArray<readonly [string, Effect.Effect<void, unknown>]> = [
    ["fails", Effect.fail("no")],
    ["dies", Effect.die(new Error("broken"))],
    ["interrupts itself", Effect.interrupt]
  ]
  for (const [how, effect] of wrong) {
    it.effect(`L11: a hook that ${how}: the send goes on, one line is logged, every run is counted`, () =>
      Effect.gen(function* () {
        const log = lines()
        yield* Effect.gen(function* () {
          const producer = yield* startWith([{ hookName: "bad", before: () => effect, after: () => effect }])
          for (let i = 0; i < 3; i++) assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
          assert.deepStrictEqual((yield* producer.state).hooks, { failures: 6, refused: 0 })
        }).pipe(Effect.provide(log.layer))
        const about = log.found.filter((line) => line.includes("hook bad"))
        assert.strictEqual(about.length, 2, about.join("\n"))
        assert.isTrue(about.every((line) => line.startsWith("Warn")))
      }).pipe(onMemory(cluster))
    )
  }

  it.effect("L11: a hook that throws instead of returning an effect: the same", () =>
    Effect.gen(function* () {
      const producer = yield* startWith([
        {
          hookName: "bad",
          before: () => {
            throw new Error("thrown")
          }
        }
      ])
      assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
      assert.strictEqual((yield* producer.state).hooks.failures, 1)
    }).pipe(onMemory(cluster))
  )

  it.effect("works again: one line says so", () =>
    Effect.gen(function* () {
      const log = lines()
      yield* Effect.gen(function* () {
        let works = false
        const producer = yield* startWith([
          { hookName: "bad", before: () => Effect.suspend(() => (works ? Effect.void : Effect.fail("no"))) }
        ])
        yield* producer.send(text("orders"))
        works = true
        yield* producer.send(text("orders"))
        yield* producer.send(text("orders"))
        works = false
        yield* producer.send(text("orders"))
      }).pipe(Effect.provide(log.layer))
      const about = log.found.filter((line) => line.includes("hook bad")).map((line) => line.split(" ")[0])
      assert.deepStrictEqual(about, ["Warn", "Info", "Warn"])
    }).pipe(onMemory(cluster))
  )

  it.effect("L11: a hook that hangs before: it is given up when the send's time is up, and the send ends then", () =>
    Effect.gen(function* () {
      const producer = yield* startWith([{ hookName: "bad", before: () => Effect.never }], [], { sendMsgTimeout: 500 })
      const { exit, millis } = yield* timed(producer.send(text("orders")))
      assert.strictEqual(failureOf(exit).reason._tag, "SendTimeout")
      assert.isAtMost(millis, 505)
      assert.strictEqual((yield* producer.state).hooks.failures, 1)
    }).pipe(onMemory(cluster))
  )

  it.effect("L11: a hook that hangs after: it is given up when the send's time is up, and the result stands", () =>
    Effect.gen(function* () {
      const producer = yield* startWith([{ hookName: "bad", after: () => Effect.never }], [], { sendMsgTimeout: 500 })
      const { exit, millis } = yield* timed(producer.send(text("orders")))
      assert.strictEqual(valueOf(exit).status, "SEND_OK")
      assert.isAtMost(millis, 505)
    }).pipe(onMemory(cluster))
  )

  it.effect("a send that hangs in a hook can be interrupted", () =>
    Effect.gen(function* () {
      const producer = yield* startWith([{ hookName: "bad", before: () => Effect.never }])
      const sending = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      assert.strictEqual((yield* producer.state).inFlight, 1)
      yield* Fiber.interrupt(sending)
      assert.strictEqual((yield* producer.state).inFlight, 0)
      yield* advance(100)
    }).pipe(onMemory(cluster))
  )
})

describe("a check", () => {
  it.effect("that refuses ends the send with its reason, and nothing is sent", () =>
    Effect.gen(function* () {
      const after: Array<SendMessageOutcome> = []
      const producer = yield* startWith(
        [{ hookName: "look", after: (_, outcome) => Effect.sync(() => void after.push(outcome)) }],
        [refuses("quota")]
      )
      const error = failureOf(yield* Effect.exit(producer.send(text("orders"))))
      assert.strictEqual(error.reason._tag, "SendForbidden")
      assert.strictEqual(error.outcome, "not-sent")
      assert.deepStrictEqual(error.attempts, [])
      assert.isFalse(error.retryable)
      assert.include(error.message, 'The hook "quota" forbids the send to topic "orders": it is Sunday.')
      assert.deepStrictEqual(after, [])
      const { messages } = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* messages("orders"), [])
      const state = yield* producer.state
      assert.deepStrictEqual(state.hooks, { failures: 0, refused: 1 })
      assert.strictEqual(state.counters.failed, 1)
      assert.strictEqual(state.inFlight, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("L11: that dies refuses nothing", () =>
    Effect.gen(function* () {
      const producer = yield* startWith([], [{ hookName: "quota", checkForbidden: () => Effect.die("broken") }])
      assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
      assert.deepStrictEqual((yield* producer.state).hooks, { failures: 1, refused: 0 })
    }).pipe(onMemory(cluster))
  )
})
