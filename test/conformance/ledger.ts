/** Everything that was sent and what became of it, to be held against what brokers have stored. */
import { assert } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Message } from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import type { SendError } from "../../src/producer/send/SendError.ts"
import { assertStored, placeOf } from "./support.ts"

/** The sends of a test. */
export interface Ledger {
  readonly acknowledged: Array<{ readonly message: Message; readonly result: SendResult }>
  readonly failed: Array<SendError>
  /** Runs a send and writes down what became of it; it does not fail. */
  readonly record: (message: Message, send: Effect.Effect<SendResult, SendError>) => Effect.Effect<void>
}

/** An empty ledger. */
export const makeLedger = (): Ledger => {
  const acknowledged: Ledger["acknowledged"] = []
  const failed: Ledger["failed"] = []
  return {
    acknowledged,
    failed,
    record: (message, send) =>
      Effect.matchEffect(send, {
        onSuccess: (result) => Effect.sync(() => void acknowledged.push({ message, result })),
        onFailure: (error) => Effect.sync(() => void failed.push(error))
      })
  }
}

/** What was found of duplicates. */
export interface Audit {
  readonly stored: number
  /** Messages that are stored more than once. */
  readonly duplicated: number
  /** Messages whose send failed with an unknown outcome and that are stored all the same. */
  readonly storedUnknown: number
}

/**
 * Asserts that every acknowledged message lies where its result says, that no other message lies there, and that a
 * message is stored more often than acknowledged only where the send said so: by more than one attempt, or by an unknown
 * outcome. `stored` is what `Observer.readTopic` gives.
 */
export const audit = (ledger: Ledger, stored: ReadonlyMap<string, ReadonlyArray<MessageExt>>): Audit => {
  const places = new Set<string>()
  for (const { message, result } of ledger.acknowledged) {
    assertStored(stored.get(MessageQueue.key(result.queue))?.[result.queueOffset], message, result)
    places.add(placeOf(result))
  }
  assert.strictEqual(places.size, ledger.acknowledged.length, "two messages were acknowledged for one place")

  /** How many copies of each message its sender may expect: at least, at most. */
  const expected = new Map<string, readonly [number, number]>()
  for (const { result } of ledger.acknowledged) expected.set(result.msgId, [1, result.attempts])
  for (const { attempts, msgId, outcome } of ledger.failed) {
    if (msgId !== undefined) expected.set(msgId, [0, outcome === "unknown" ? attempts.length : 0])
  }
  const copies = new Map<string, number>()
  for (const message of [...stored.values()].flat()) {
    const id = message.msgId
    copies.set(id, (copies.get(id) ?? 0) + 1)
  }
  let duplicated = 0
  let storedUnknown = 0
  for (const [id, count] of copies) {
    const range = expected.get(id)
    assert.isDefined(range, `a message is stored that nobody sent: ${id}`)
    const [least, most] = range
    assert.isAtMost(count, most, `message ${id} is stored ${count} times, at most ${most} are explained`)
    if (count > 1) duplicated++
    if (least === 0) storedUnknown++
  }
  return { stored: [...copies.values()].reduce((sum, count) => sum + count, 0), duplicated, storedUnknown }
}

/** What became of a send, for a send that runs beside the test. */
export const reasonOf = (exit: Exit.Exit<SendResult, SendError>): SendError | undefined =>
  Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error : undefined
