import { type Cause, type Exit, Formatter } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import { SysFlag } from "../../message/SysFlag.ts"
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
export const LocalTransactionState = {
  COMMIT_MESSAGE: "COMMIT_MESSAGE",
  ROLLBACK_MESSAGE: "ROLLBACK_MESSAGE",
  UNKNOW: "UNKNOW"
} as const

/** See the constants of the same name. */
export type LocalTransactionState = (typeof LocalTransactionState)[keyof typeof LocalTransactionState]

/** How a state goes on the wire: the transaction bits of `SysFlag`. */
export const commitOrRollback: { readonly [K in LocalTransactionState]: number } = {
  COMMIT_MESSAGE: SysFlag.TRANSACTION_COMMIT,
  ROLLBACK_MESSAGE: SysFlag.TRANSACTION_ROLLBACK,
  UNKNOW: SysFlag.TRANSACTION_NOT_TYPE
}

/**
 * What the end of a local transaction says by itself: a success commits, a typed failure rolls back, and a defect, an
 * interruption or running out of time leaves it open, because nobody knows how far it came.
 */
export const stateOfExit = <A, E>(exit: Exit.Exit<A, E>): LocalTransactionState => {
  if (exit._tag === "Success") return "COMMIT_MESSAGE"
  // A failure beside a defect or an interruption says nothing of what those broke off.
  return exit.cause.reasons.every(
    (reason) => reason._tag === "Fail" && !(reason.error instanceof LocalTransactionTimeout)
  )
    ? "ROLLBACK_MESSAGE"
    : "UNKNOW"
}

/** A defect or an interruption as Java words an exception, for the broker's log; undefined when there is neither. */
export const remarkOf = (prefix: string, cause: Cause.Cause<unknown>): string | undefined => {
  if (cause.reasons.every((reason) => reason._tag === "Fail")) return undefined
  const died = cause.reasons.find((reason) => reason._tag === "Die")
  return prefix + (died === undefined ? "interrupted" : describe(died.defect))
}

/** Whatever was thrown, as one short line. */
export const describe = (thrown: unknown): string =>
  ForeignText.clean(
    thrown instanceof Error
      ? `${thrown.name}: ${thrown.message}`
      : typeof thrown === "string"
        ? thrown
        : Formatter.format(thrown)
  )
