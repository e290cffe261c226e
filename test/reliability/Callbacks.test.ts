/** What the user gives a producer to call, and what becomes of the producer when it throws. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger } from "effect"
import type { RouteProblem } from "../../src/client/ClientError.ts"
import { AddressTranslator } from "../../src/client/AddressTranslator.ts"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import {
  canSend,
  failureOf,
  held,
  makeProducer,
  nothing,
  onMemory,
  settle,
  startProducer,
  text,
  timed
} from "../support/rig.ts"

const cluster = { topics: { orders: {} } }

const bug = (): never => {
  throw new Error("the user's bug")
}

/** Throws while it is broken. */
const breakable = () => {
  const state = { broken: true }
  return { state, run: <A>(otherwise: () => A): A => (state.broken ? bug() : otherwise()) }
}

/** A callback that throws while it is broken: the options with it, or how it gets into the program. */
type Case = readonly [
  name: string,
  problem: RouteProblem,
  /** How it is told. */
  reported: RegExp,
  options: (run: <A>(otherwise: () => A) => A) => Partial<ProducerOptions>,
  around: (run: <A>(otherwise: () => A) => A) => Layer.Layer<never>
]

const inOptions = () => Layer.empty

const cases: ReadonlyArray<Case> = [
  [
    "a hook before requests",
    "request-not-signed",
    /request-not-signed/,
    (run) => ({
      remoting: { rpcHook: { doBeforeRequest: (_, request) => run(() => request) } }
    }),
    inOptions
  ],
  [
    "a hook before requests that is an effect",
    "request-not-signed",
    /request-not-signed/,
    (run) => ({
      remoting: { rpcHook: { doBeforeRequest: (_, request) => Effect.sync(() => run(() => request)) } }
    }),
    inOptions
  ],
  [
    "a rule for addresses",
    "address-not-allowed",
    /is not allowed/,
    (run) => ({ allowAddress: () => run(() => true) }),
    inOptions
  ],
  [
    "a translator of addresses",
    "address-not-allowed",
    /cannot be translated \(Error: the user's bug\)/,
    () => ({}),
    (run) => Layer.succeed(AddressTranslator, { translate: ({ address }) => run(() => Effect.succeed(address)) })
  ],
  [
    "a translator of addresses whose effect dies",
    "address-not-allowed",
    /cannot be translated \(Error: the user's bug\)/,
    () => ({}),
    (run) => Layer.succeed(AddressTranslator, { translate: ({ address }) => Effect.sync(() => run(() => address)) })
  ]
]

describe("something of the user's that throws", () => {
  for (const [name, problem, reported, options, around] of cases) {
    it.effect(`L11: ${name}: the send fails typed and unsent, and goes on when it is well again`, () =>
      Effect.gen(function* () {
        const { run, state } = breakable()
        const warnings: Array<string> = []
        const log = Logger.layer([
          Logger.make(({ cause, logLevel, message }) => {
            if (logLevel !== "Debug" && logLevel !== "Info") warnings.push(`${String(message)} ${String(cause)}`)
          })
        ])
        yield* Effect.gen(function* () {
          const producer = yield* startProducer({ readiness: "lazy", ...options(run) })
          const { exit, millis } = yield* timed(producer.send(text("orders"), { timeoutMillis: 3_000 }))
          const error = failureOf(exit)
          assert.isAtMost(millis, 3_005)
          assert.strictEqual(error.outcome, "not-sent")
          assert.deepInclude(error.reason, { _tag: "RouteUnavailable", problem })
          assert.match([error.message, ...warnings].join("\n"), reported)
          assert.strictEqual((yield* producer.state).inFlight, 0)
          state.broken = false
          assert.isTrue(yield* canSend(producer))
          yield* producer.shutdown
          yield* settle
          assert.deepStrictEqual(yield* held, nothing)
        }).pipe(Effect.provide(Layer.merge(around(run), log)))
      }).pipe(onMemory(cluster))
    )
  }

  it.effect("L11: a resolver of name servers: the start fails typed and leaves nothing", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({ namesrvAddr: undefined })
      const exit = yield* Effect.exit(
        Effect.provideService(producer.start, NameServerResolver, { name: "buggy", resolve: Effect.sync(bug) })
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(failureOf(exit).step, "3.2")
      assert.strictEqual(yield* producer.serviceState, "START_FAILED")
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  it.effect("L11: a retry policy: the table decides, and the message arrives", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ retryPolicy: bug })
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2 },
        actions: [FaultScript.answer(14, "not now")],
        times: 1
      })
      const { attempts } = yield* producer.send(text("orders"))
      assert.strictEqual(attempts, 2)
    }).pipe(onMemory(cluster))
  )
})
