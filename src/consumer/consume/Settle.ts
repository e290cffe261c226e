import { Duration } from "effect"
import { type ConsumeResult, reconsumeLater, success } from "../ConsumeResult.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import type { OrderlyResult } from "../MessageListener.ts"
import type { ReconsumePolicy } from "../ReconsumePolicy.ts"
import type { Slot } from "../queue/ProcessQueue.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/** A pulled message in its queue. */
export type Received = Slot<ReceivedMessage>

/** Where a message goes that was not consumed: after a time, as the broker decides, or to the dead letters. */
export type GiveBack = Duration.Duration | "broker" | "dead-letter"

/** What is needed to say what becomes of a message. */
export interface SettleOptions {
  readonly reconsumePolicy: ReconsumePolicy
  readonly counters: ConsumerCounters
  /** Gives a message back, for a reason or none, finishes it when that is done, and says then that it is over. It waits for nothing. */
  readonly giveBack: (received: Received, to: GiveBack, reason?: string, over?: () => void) => void
}

/** Why a message is not consumed, in one word of a small set, by what was said of it. */
export const reasonOf = ({ _tag }: OrderlyResult): string =>
  _tag === "DeadLetter"
    ? "dead_letter"
    : _tag === "Suspend"
      ? "suspended"
      : _tag === "Rollback"
        ? "rolled_back"
        : "reconsume_later"

/** What a result means where there is no order: what only order knows means that the message comes again. */
export function asUnordered(result: OrderlyResult): ConsumeResult
export function asUnordered(result: OrderlyResult | void): ConsumeResult | void
export function asUnordered(result: OrderlyResult | void): ConsumeResult | void {
  if (result === undefined) return undefined
  if (result._tag === "Commit") return success
  return result._tag === "Suspend" || result._tag === "Rollback" ? reconsumeLater() : result
}

/** Makes what applies a result to a message, and gives whether it is consumed. What only order knows means that it comes again. */
export const make = ({ counters, giveBack, reconsumePolicy }: SettleOptions) => {
  const policyFor = (received: Received): GiveBack => {
    try {
      const delay = reconsumePolicy.delay(received.message.attempt)
      return delay === "broker" || delay === "dead-letter" ? delay : Duration.fromInputUnsafe(delay)
    } catch {
      // The user's own policy; the broker's table is what there would be without it.
      return "broker"
    }
  }

  return (received: Received, result: OrderlyResult): boolean => {
    if (received.queue.dropped) {
      counters.late++
      return false
    }
    if (result._tag === "Success") {
      counters.succeeded++
      received.queue.finish(received)
      return true
    }
    const to =
      result._tag === "DeadLetter"
        ? "dead-letter"
        : result._tag !== "ReconsumeLater" || result.after === undefined
          ? policyFor(received)
          : result.after === "broker"
            ? "broker"
            : Duration.fromInputUnsafe(result.after)
    if (to === "dead-letter") counters.deadLettered++
    else counters.reconsumeLater++
    giveBack(received, to, result._tag === "DeadLetter" ? result.reason : undefined)
    return false
  }
}
