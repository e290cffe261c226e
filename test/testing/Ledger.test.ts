import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { EmbeddedCluster, Ledger } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { advance, failureOf, onMemory, startProducer, timed } from "../support/rig.ts"

const cluster = { brokers: 2, topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } } }

const order = (n: number | string) => Message.make({ topic: "orders", body: `order-${n}` })

/** A producer and an empty ledger. */
const rig = Effect.map(startProducer(), ({ send, sendBatch, sendOneway }) => ({
  ledger: Ledger.make(),
  send,
  sendBatch,
  sendOneway
}))

/** An error as a send's is. */
const failed = (
  outcome: Ledger.FailedSend["outcome"],
  ...codes: ReadonlyArray<number | undefined>
): Ledger.FailedSend => ({
  outcome,
  attempts: codes.map((code) => ({
    cause: code === undefined ? { _tag: "RequestTimeout" } : { _tag: "BrokerRejected", code }
  }))
})

/** Writes into the ledger that a send ended so, whatever really happened. */
const claim = (ledger: Ledger.Ledger, message: Message.Message, end: SendResult | Ledger.FailedSend) =>
  Effect.exit(ledger.record(message, "outcome" in end ? Effect.fail(end) : Effect.succeed(end)))

/** What an audit finds, each as "check: detail". */
const audit = (ledger: Ledger.Ledger) =>
  Effect.map(ledger.audit, ({ violations }) => violations.map(({ check, detail }) => `${check}: ${detail}`))

const queue = MessageQueue.make("orders", "broker-a", 0)

describe("Ledger: lies are found", () => {
  it.effect("acknowledged, and not stored", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const result = yield* send(order(1), { queue })
      yield* claim(ledger, order(1), result)
      yield* claim(ledger, order(2), { ...result, queueOffset: 7 })
      assert.deepStrictEqual(yield* audit(ledger), [
        'acknowledged: "order-2" to orders was acknowledged once and is stored 0 times',
        'acknowledged: "order-2" to orders was acknowledged at orders@broker-a@0@7, and nothing lies there'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("acknowledged at another place", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const one = yield* send(order(1), { queue })
      const two = yield* send(order(2), { queue })
      yield* claim(ledger, order(1), { ...one, queueOffset: two.queueOffset })
      yield* claim(ledger, order(2), { ...two, queue: MessageQueue.make("orders", "broker-b", 0) })
      assert.deepStrictEqual(yield* audit(ledger), [
        'acknowledged: "order-1" to orders was acknowledged at orders@broker-a@0@1, and "order-2" to orders lies there',
        'acknowledged: "order-2" to orders was acknowledged at orders@broker-b@0@1, and nothing lies there'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("two acknowledged at one place", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const one = yield* send(order(1), { queue })
      yield* send(order(2), { queue })
      yield* claim(ledger, order(1), one)
      yield* claim(ledger, order(2), one)
      const found = yield* audit(ledger)
      assert.include(
        found,
        'acknowledged: "order-2" to orders and "order-1" to orders were acknowledged at orders@broker-a@0@0'
      )
    }).pipe(onMemory(cluster))
  )

  it.effect("acknowledged under another id", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const result = yield* send(order(1))
      yield* claim(ledger, order(1), { ...result, msgId: "7F" })
      assert.deepStrictEqual(yield* audit(ledger), [
        `acknowledged: "order-1" to orders lies under the id ${result.msgId}, not 7F`
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("rejected or not sent, and stored", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      for (const n of [1, 2]) yield* send(order(n))
      yield* claim(ledger, order(1), failed("rejected", 2))
      yield* claim(ledger, order(2), failed("not-sent"))
      assert.deepStrictEqual(yield* audit(ledger), [
        'honesty: "order-1" to orders ended "rejected" and is stored once, at most 0 of that are explained',
        'honesty: "order-2" to orders ended "not-sent" and is stored once, at most 0 of that are explained'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("stored more often than there were attempts, whether acknowledged or not", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const results = yield* Effect.forEach([1, 1, 1, 2, 2, 2], (n) => send(order(n)))
      const [first] = results
      assert.isDefined(first)
      if (first === undefined) return
      yield* claim(ledger, order(1), { ...first, attempts: 2 })
      yield* claim(ledger, order(2), failed("unknown", undefined, undefined))
      assert.deepStrictEqual(yield* audit(ledger), [
        'honesty: "order-1" to orders ended "acknowledged" and is stored 3 times, at most 2 of that are explained',
        'honesty: "order-2" to orders ended "unknown" and is stored 3 times, at most 2 of that are explained'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("a one-way message that is stored twice", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      for (const _ of [1, 2]) yield* send(order(1))
      yield* ledger.recordOneway(order(1), Effect.void)
      assert.match((yield* audit(ledger)).join(), /^honesty: .* is stored 2 times, at most 1 of that are explained$/)
    }).pipe(onMemory(cluster))
  )

  it.effect("the order of a key, broken", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const later = yield* send(order("later"), { queue })
      const sooner = yield* send(order("sooner"), { queue })
      const keyed = { orderingKey: "7" }
      yield* ledger.record(order("sooner"), Effect.succeed(sooner), keyed)
      yield* ledger.record(order("later"), Effect.succeed(later), keyed)
      assert.deepStrictEqual(yield* audit(ledger), [
        'order: "order-later" to orders lies at 0, before "order-sooner" to orders at 1'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("a deadline, passed", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const slow = Effect.andThen(Effect.sleep(120), send(order(1)))
      const gaveUp = Effect.andThen(Effect.sleep(300), Effect.fail(failed("not-sent")))
      const fiber = yield* Effect.forkChild(
        Effect.all(
          [
            ledger.record(order(1), slow, { timeoutMillis: 100 }),
            ledger.record(order(3), Effect.andThen(Effect.sleep(100), send(order(3))), { timeoutMillis: 100 }),
            Effect.exit(ledger.record(order(2), gaveUp, { timeoutMillis: 200 }))
          ],
          { concurrency: "unbounded" }
        )
      )
      yield* advance(400, 10)
      yield* Fiber.join(fiber)
      const found = yield* audit(ledger)
      assert.strictEqual(found.length, 2)
      assert.strictEqual(found[0], 'deadline: "order-1" to orders took 120 ms of 100: was acknowledged')
      assert.match(found[1] ?? "", /^deadline: "order-2" to orders took 300 ms of 200: /)
    }).pipe(onMemory(cluster))
  )

  it.effect("stored, and nobody sent it", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      yield* ledger.record(order(1), send(order(1)))
      yield* send(order(2))
      assert.deepStrictEqual(yield* audit(ledger), [
        'honesty: "order-2" to orders is stored and nobody sent it, or not through the ledger'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("sent again after a refusal that is final", () =>
    Effect.gen(function* () {
      const { ledger } = yield* rig
      yield* claim(ledger, order(1), failed("rejected", 13, 2))
      // The last word may be a refusal, and a busy broker's is not final.
      yield* claim(ledger, order(2), failed("rejected", 2, 13))
      assert.deepStrictEqual(yield* audit(ledger), [
        'retries: "order-1" to orders was sent again after it was refused for good'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("a send that died", () =>
    Effect.gen(function* () {
      const { ledger } = yield* rig
      yield* Effect.exit(ledger.record(order(1), Effect.die(new Error("a bug"))))
      assert.match((yield* audit(ledger)).join(), /^defect: "order-1" to orders: Error: a bug/)
    }).pipe(onMemory(cluster))
  )

  it.effect("a transaction: committed and not readable, rolled back and readable", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const sendResult = yield* send(order(2))
      const ended = (localTransactionState: Ledger.EndedTransaction["localTransactionState"]) =>
        Effect.succeed({ sendResult, localTransactionState })
      yield* ledger.recordTransaction(order(1), ended("COMMIT_MESSAGE"))
      yield* ledger.recordTransaction(order(2), ended("ROLLBACK_MESSAGE"))
      yield* ledger.recordTransaction(order(3), ended("UNKNOW"))
      yield* Effect.exit(ledger.recordTransaction(order(4), Effect.fail("never ran")))
      assert.deepStrictEqual(yield* audit(ledger), [
        'acknowledged: "order-1" to orders was acknowledged once and is stored 0 times',
        'honesty: "order-2" to orders ended "rejected" and is stored once, at most 0 of that are explained'
      ])
    }).pipe(onMemory(cluster))
  )

  it.effect("sends of one body are counted together: each that was acknowledged has its own copy", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      for (const _ of [1, 2]) yield* ledger.record(order(1), send(order(1)))
      assert.deepStrictEqual(yield* audit(ledger), [])

      const one = yield* send(order(2), { queue })
      yield* claim(ledger, order(2), one)
      yield* claim(ledger, order(2), one)
      assert.deepStrictEqual(yield* audit(ledger), [
        'acknowledged: "order-2" to orders was acknowledged 2 times and is stored once',
        'acknowledged: "order-2" to orders and "order-2" to orders were acknowledged at ' +
          `${MessageQueue.key(one.queue)}@${one.queueOffset}`
      ])

      // One that was refused does not excuse a copy, one that is open does.
      for (const _ of [1, 2]) yield* send(order(3))
      yield* claim(ledger, order(3), failed("unknown", undefined))
      yield* claim(ledger, order(3), failed("rejected", 13))
      assert.include(
        yield* audit(ledger),
        'honesty: "order-3" to orders ended "unknown", "rejected" and is stored 2 times, at most 1 of that are explained'
      )
    }).pipe(onMemory(cluster))
  )
})

describe("Ledger: what is true is left alone", () => {
  it.effect("sends of every kind on a healthy cluster", () =>
    Effect.gen(function* () {
      const { ledger, send, sendBatch, sendOneway } = yield* rig
      for (const n of [1, 2, 3]) {
        const keyed = Message.make({ topic: "orders", body: `keyed-${n}` })
        const orderingKey = "7"
        const sent = ledger.record(keyed, send(keyed, { orderingKey }), { orderingKey, timeoutMillis: 100 })
        assert.strictEqual((yield* sent).status, "SEND_OK")
      }
      const batch = [order(1), order(2), order(3)]
      assert.strictEqual((yield* ledger.recordBatch(batch, sendBatch(batch))).results.length, 3)
      yield* ledger.recordOneway(order(4), sendOneway(order(4)))
      const delayed = { ...order(5), delay: MessageDelay.by("3 seconds") }
      yield* ledger.record(delayed, send(delayed))
      yield* advance(5_000)
      const { counts, violations } = yield* ledger.audit
      assert.deepStrictEqual(violations, [])
      assert.deepStrictEqual(counts, {
        acknowledged: 7,
        notSent: 0,
        rejected: 0,
        unknown: 1,
        duplicated: 0,
        storedUnknown: 1
      })
    }).pipe(onMemory(cluster))
  )

  it.effect("a send keeps its result, its error and its interruption", () =>
    Effect.gen(function* () {
      const { ledger } = yield* rig
      const error = failed("unknown", undefined)
      assert.deepStrictEqual(yield* claim(ledger, order(1), error), Exit.fail(error))
      const fiber = yield* Effect.forkChild(ledger.record(order(2), Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const { counts, violations } = yield* ledger.audit
      assert.deepStrictEqual(violations, [])
      assert.strictEqual(counts.unknown, 2)
    }).pipe(onMemory(cluster))
  )

  it.effect("a send that was interrupted may be stored, as one that is open may be, as often as it was tried", () =>
    Effect.gen(function* () {
      const { ledger, send } = yield* rig
      const stored = yield* Deferred.make<void>()
      const sending = send(order(1)).pipe(
        Effect.andThen(Deferred.succeed(stored, undefined)),
        Effect.andThen(Effect.never)
      )
      const fiber = yield* Effect.forkChild(ledger.record(order(1), sending))
      yield* Deferred.await(stored)
      yield* Fiber.interrupt(fiber)
      for (const _ of [1, 2]) yield* send(order(2))
      yield* claim(ledger, order(2), failed("unknown", undefined, 2, undefined))
      const { counts, violations } = yield* ledger.audit
      assert.deepStrictEqual(violations, [])
      assert.deepInclude(counts, { unknown: 2, storedUnknown: 2, duplicated: 1 })
    }).pipe(onMemory(cluster))
  )

  it.effect("a watched producer sends as before, and the ledger has it", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ retryTimesWhenSendFailed: 0 })
      const ledger = Ledger.make()
      const watched = ledger.watch(producer, { timeoutMillis: 3_000 })
      assert.strictEqual(watched.producerGroup, producer.producerGroup)
      yield* watched.send(order(1), { orderingKey: 7n })
      yield* watched.sendBatch([order(2), order(3)])
      yield* watched.sendOneway(order(4))
      const { setBusy } = yield* EmbeddedCluster
      for (const name of ["broker-a", "broker-b"]) yield* setBusy(name, true)
      // The producer waits a while before it takes a busy answer for an answer.
      assert.strictEqual(failureOf((yield* timed(watched.send(order(5)))).exit).outcome, "rejected")
      const { counts, violations } = yield* ledger.audit
      assert.deepStrictEqual(violations, [])
      assert.deepInclude(counts, { acknowledged: 3, rejected: 1, unknown: 1 })
      // Past the ledger: it notices.
      for (const name of ["broker-a", "broker-b"]) yield* setBusy(name, false)
      yield* producer.send(order(6))
      assert.match((yield* audit(ledger)).join(), /^honesty: "order-6" to orders is stored and nobody sent it/)
    }).pipe(onMemory(cluster))
  )

  it.effect("a watched producer's sends have their deadline and their order", () =>
    Effect.gen(function* () {
      const slow = {
        send: (
          message: Message.Message,
          options?: { readonly orderingKey?: number; readonly timeoutMillis?: number }
        ) =>
          Effect.andThen(
            Effect.sleep(options?.timeoutMillis ?? 50),
            Effect.fail(failed("not-sent", message.body.length))
          ),
        sendOneway: () => Effect.fail(failed("not-sent")),
        sendBatch: () => Effect.fail(failed("not-sent"))
      }
      const ledger = Ledger.make()
      const watched = ledger.watch(slow, { timeoutMillis: 20 })
      const fiber = yield* Effect.forkChild(
        Effect.all([Effect.exit(watched.send(order(1))), Effect.exit(watched.send(order(2), { timeoutMillis: 200 }))], {
          concurrency: "unbounded"
        })
      )
      yield* advance(300, 10)
      yield* Fiber.join(fiber)
      const found = yield* audit(ledger)
      assert.strictEqual(found.length, 1)
      assert.match(found[0] ?? "", /^deadline: "order-1" to orders took 50 ms of 20/)
    }).pipe(onMemory(cluster))
  )
})
