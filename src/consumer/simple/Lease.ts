import type { PopHandle } from "../../protocol/PopHandle.ts"

/** How short a message may be hidden, in milliseconds. */
export const LEAST_INVISIBLE_MILLIS = 1_000
/** How long a message may be hidden, in milliseconds: the 12 hours of the gRPC proxy. */
export const MOST_INVISIBLE_MILLIS = 43_200_000

/** What may be done with a popped message now. */
export type Permission =
  | {
      readonly _tag: "Granted"
      /** The handle to name. */
      readonly handle: PopHandle
    }
  | { readonly _tag: "AlreadyAcked" }
  | { readonly _tag: "Expired" }

const ALREADY: Permission = { _tag: "AlreadyAcked" }
const EXPIRED: Permission = { _tag: "Expired" }

/**
 * The handle of one popped message, which changes with each extension. Brokers refuse nothing: they take an old handle, and an
 * extension after an acknowledgement, and each makes a copy of the message come back. So it is decided here what is sent:
 * nothing when the time is over, no extension once an acknowledgement has left, and always the newest handle. Times are
 * milliseconds of the monotonic clock.
 *
 * Source: RocketMQ `AckMessageProcessor`, `ChangeInvisibleTimeProcessor`, as observed.
 */
export class Lease {
  #handle: PopHandle
  #until: number
  #began: number
  #phase: "held" | "ack-sent" | "acked" = "held"
  #mayComeAgain = false

  constructor(handle: PopHandle, began: number, until: number) {
    this.#handle = handle
    this.#began = began
    this.#until = until
  }

  /** When its time is over. */
  get until(): number {
    return this.#until
  }

  /** How long it is hidden in all since the pop or the last extension, in milliseconds. */
  get period(): number {
    return this.#until - this.#began
  }

  /**
   * Whether a copy of the message may come although it is acknowledged: the answer to an extension was lost, and with it the
   * handle that its broker knows the message by.
   */
  get mayComeAgain(): boolean {
    return this.#mayComeAgain
  }

  isOver(now: number): boolean {
    return now >= this.#until
  }

  /** Whether it may be acknowledged. One whose acknowledgement was sent and not answered may be again: that is the same one. */
  toAck(now: number): Permission {
    if (this.#phase === "acked") return ALREADY
    return this.isOver(now) ? EXPIRED : { _tag: "Granted", handle: this.#handle }
  }

  /** Whether it may be extended. */
  toExtend(now: number): Permission {
    if (this.#phase !== "held") return ALREADY
    return this.isOver(now) ? EXPIRED : { _tag: "Granted", handle: this.#handle }
  }

  /** An acknowledgement leaves. */
  ackSent(): void {
    if (this.#phase === "held") this.#phase = "ack-sent"
  }

  /** A broker has answered an acknowledgement. */
  acked(): void {
    this.#phase = "acked"
  }

  /** A broker has answered an extension that began then. */
  extended(handle: PopHandle, began: number, until: number): void {
    this.#handle = handle
    this.#began = began
    this.#until = until
  }

  /** An extension may have been made whose answer nobody has. */
  extensionLost(): void {
    this.#mayComeAgain = true
  }
}
