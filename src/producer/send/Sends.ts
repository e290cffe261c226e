import type { Effect } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import type { Message } from "../../message/Message.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { FaultState } from "../queue/FaultStrategy.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { InvalidMessage, SendError } from "./SendError.ts"
import type { SendOptions } from "./SendOptions.ts"

/** What a producer has counted since it was started. */
export interface SendCounters {
  /** Sends begun. */
  sends: number
  /** Sends that a broker acknowledged. */
  acknowledged: number
  /** Sends that failed. */
  failed: number
  /** Of those, the ones whose message may be stored all the same. */
  unknown: number
  /** Attempts beyond the first. */
  retries: number
}

/** Options of {@link Sends.dispatch}. */
export interface DispatchOptions extends SendOptions {
  /** Whether `queue` is only where the first attempt goes, and others may follow elsewhere. */
  readonly unpinned?: boolean | undefined
  /** Whether it was {@link Sends.accept}ed: it is counted already, and goes on while the producer shuts down. */
  readonly accepted?: boolean | undefined
}

/** The sends of one running producer. */
export interface Sends {
  readonly send: (message: Message, options?: SendOptions) => Effect.Effect<SendResult, SendError>
  readonly sendOneway: (message: Message, options?: SendOptions) => Effect.Effect<void, SendError>
  /** {@link send} of something that was made ready already, or was refused. */
  readonly dispatch: (
    outgoing: Outgoing | InvalidMessage,
    options?: DispatchOptions
  ) => Effect.Effect<SendResult, SendError>
  /** Checks a message and makes it ready for {@link dispatch}. */
  readonly prepare: (message: Message, options?: SendOptions) => Outgoing | InvalidMessage
  /** Takes on something to dispatch later, which a shutdown waits for; gives the refusal when no send may begin. */
  readonly accept: () => IllegalServiceState | undefined
  /** What was accepted has ended. */
  readonly settle: () => void
  /** {@link send} of a message that is changed after it was made ready: further properties and flags, another form. */
  readonly sendAs: (
    message: Message,
    change: (outgoing: Outgoing) => Outgoing | InvalidMessage,
    options?: SendOptions
  ) => Effect.Effect<SendResult, SendError>
  /** The queues of a topic that can be written, looked up when they are not known yet. */
  readonly fetchPublishMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, SendError>
  readonly counters: Readonly<SendCounters>
  readonly inFlight: () => number
  /** What is held against brokers; empty unless `sendLatencyEnable` is set. */
  readonly faults: () => ReadonlyArray<FaultState>
  /** No send begins from now on; ends when those under way have ended, or after `timeoutMillis`. Gives how many are left. */
  readonly drain: (timeoutMillis: number, refusal: () => IllegalServiceState) => Effect.Effect<number>
}
