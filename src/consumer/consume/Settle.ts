import { Duration } from "effect"
import type { ConsumeResult } from "../ConsumeResult.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
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
  /** Gives a message back, for a reason or none, and finishes it when that is done. It waits for nothing. */
  readonly giveBack: (received: Received, to: GiveBack, reason?: string) => void
}

/** Why a message is not consumed, in one word of a small set, by what was said of it. */
export const reasonOf = (result: ConsumeResult): string =>
  result._tag === "DeadLetter" ? "dead_letter" : "reconsume_later"

/** Makes what applies a result to a message, and gives whether it is consumed. */
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

  return (received: Received, result: ConsumeResult): boolean => {
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
        : result.after === undefined
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
