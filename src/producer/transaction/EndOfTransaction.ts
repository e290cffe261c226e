import type { Cause } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import { SysFlag } from "../../message/SysFlag.ts"
import type { LocalTransactionState } from "./LocalTransactionState.ts"

/** How a state goes on the wire: the transaction bits of `SysFlag`. */
export const commitOrRollback: { readonly [K in LocalTransactionState]: number } = {
  COMMIT_MESSAGE: SysFlag.TRANSACTION_COMMIT,
  ROLLBACK_MESSAGE: SysFlag.TRANSACTION_ROLLBACK,
  UNKNOW: SysFlag.TRANSACTION_NOT_TYPE
}

/** A defect or an interruption as Java words an exception, for the broker's log; undefined when there is neither. */
export const remarkOf = (prefix: string, cause: Cause.Cause<unknown>): string | undefined => {
  if (cause.reasons.every((reason) => reason._tag === "Fail")) return undefined
  const died = cause.reasons.find((reason) => reason._tag === "Die")
  return prefix + (died === undefined ? "interrupted" : ForeignText.ofThrownWithName(died.defect))
}
