import { ConfigProblem } from "../client/ClientError.ts"

/** What a transactional producer can be told beside the options of every producer. */
export interface TransactionSettings {
  /** Checks that run at once; default 8 (Java `checkThreadPoolMaxSize`, 1 there). */
  readonly checkConcurrency?: number | undefined
  /** Checks that may run and wait; default 2,000 (Java `checkRequestHoldMax`). Those beyond are asked again by the broker. */
  readonly checkRequestHoldMax?: number | undefined
  /** Milliseconds that a check may take before the answer is UNKNOW; default 10,000. */
  readonly checkTimeoutMillis?: number | undefined
  /** Milliseconds that a local transaction may take before it is interrupted; by default as long as it likes. */
  readonly transactionTimeoutMillis?: number | undefined
}

/** The defaults of {@link TransactionSettings}; a local transaction may take as long as it likes. */
export const defaults = { checkConcurrency: 8, checkRequestHoldMax: 2_000, checkTimeoutMillis: 10_000 }

/** Every problem of the settings. */
export const problems = (settings: TransactionSettings): ReadonlyArray<ConfigProblem> => {
  const found: Array<ConfigProblem> = []
  for (const path of ["checkConcurrency", "checkRequestHoldMax"] as const) {
    const value = settings[path]
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      found.push(new ConfigProblem({ path, problem: `must be a whole number of at least 1, is ${value}` }))
    }
  }
  for (const path of ["checkTimeoutMillis", "transactionTimeoutMillis"] as const) {
    const value = settings[path]
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) {
      found.push(new ConfigProblem({ path, problem: `must be a number of milliseconds above 0, is ${value}` }))
    }
  }
  return found
}
