import type { Duration } from "effect"
import type { Resolved, TableOf } from "../client/options/Option.ts"
import * as Kinds from "../client/options/OptionKinds.ts"

/**
 * What a transactional producer can be told beside the options of every producer. A time is any `Duration.Input`; a bare
 * number is milliseconds.
 */
export interface TransactionSettings {
  /** Checks that run at once; default 8 (Java `checkThreadPoolMaxSize`, 1 there). */
  readonly checkConcurrency?: number | undefined
  /** Checks that may run and wait; default 2,000 (Java `checkRequestHoldMax`). Those beyond are asked again by the broker. */
  readonly checkRequestHoldMax?: number | undefined
  /** How long a check may take before the answer is UNKNOW; default 10 seconds. */
  readonly checkTimeoutMillis?: Duration.Input | undefined
  /** How long a local transaction may take before it is interrupted; by default as long as it likes. */
  readonly transactionTimeoutMillis?: Duration.Input | undefined
}

/** The table of {@link TransactionSettings}. */
export const table = {
  checkConcurrency: Kinds.whole({
    name: "check-concurrency",
    also: ["checkThreadPoolMaxSize"],
    java: "`checkThreadPoolMaxSize` (1)",
    default: 8,
    least: 1
  }),
  checkRequestHoldMax: Kinds.whole({ name: "check-request-hold-max", java: "the same", default: 2_000, least: 1 }),
  checkTimeoutMillis: Kinds.time({ name: "check-timeout", java: "none", default: 10_000, least: 1 }),
  transactionTimeoutMillis: Kinds.time({
    name: "transaction-timeout",
    java: "none",
    absent: "none",
    default: undefined,
    least: 1
  })
} satisfies TableOf<TransactionSettings>

/** {@link TransactionSettings} with a value for each of them, times in milliseconds. */
export interface ResolvedTransactionSettings extends Resolved<typeof table> {}
