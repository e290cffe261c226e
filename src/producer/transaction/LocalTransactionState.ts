import type { Exit } from "effect"
import { LocalTransactionTimeout } from "./TransactionError.ts"

/**
 * What has become of a local transaction, in Java's words.
 *
 * - `COMMIT_MESSAGE`: it is done; consumers get the message.
 * - `ROLLBACK_MESSAGE`: it is not done and never will be; the message is dropped.
 * - `UNKNOW` (sic): not known yet; the broker asks later.
 *
 * Source: RocketMQ `LocalTransactionState`.
 */
export type LocalTransactionState = "COMMIT_MESSAGE" | "ROLLBACK_MESSAGE" | "UNKNOW"

/** The transaction is done; consumers get the message. */
export const COMMIT_MESSAGE = "COMMIT_MESSAGE" as const
/** The transaction is not done and never will be; the message is dropped. */
export const ROLLBACK_MESSAGE = "ROLLBACK_MESSAGE" as const
/** Not known yet: the broker asks later. The word is Java's. */
export const UNKNOW = "UNKNOW" as const

/**
 * What the end of a local transaction says by itself: a success commits, a typed failure rolls back, and a defect, an
 * interruption or running out of time leaves it open, because nobody knows how far it came.
 */
export const ofExit = <A, E>(exit: Exit.Exit<A, E>): LocalTransactionState => {
  if (exit._tag === "Success") return "COMMIT_MESSAGE"
  // A failure beside a defect or an interruption says nothing of what those broke off.
  return exit.cause.reasons.every(
    (reason) => reason._tag === "Fail" && !(reason.error instanceof LocalTransactionTimeout)
  )
    ? "ROLLBACK_MESSAGE"
    : "UNKNOW"
}
