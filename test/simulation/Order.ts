import { Result } from "effect"
import type { CheckSummary, SimulationFailed } from "../../src/testing/Simulation.ts"

/** What one process is to run. */
export interface Order {
  readonly seeds: number
  readonly from: number
  /** The faults to keep of those that the seed draws; all when undefined. */
  readonly keep: ReadonlyArray<number> | undefined
  readonly mutation: string | undefined
  readonly logs: boolean
}

/** What came of it. */
export type Outcome =
  | { readonly _tag: "Held"; readonly summary: CheckSummary }
  | {
      readonly _tag: "Failed"
      readonly seed: number
      readonly keep: ReadonlyArray<number>
      readonly checks: ReadonlyArray<string>
      readonly message: string
    }

/** The outcome of a check, as a value that can be printed. */
export const outcomeOf = (checked: Result.Result<CheckSummary, SimulationFailed>): Outcome =>
  Result.isSuccess(checked)
    ? { _tag: "Held", summary: checked.success }
    : {
        _tag: "Failed",
        seed: checked.failure.seed,
        keep: checked.failure.keep,
        checks: [...new Set(checked.failure.violations.map(({ check }) => check))],
        message: checked.failure.message
      }

/** The seeds of an order, dealt out to so many processes. */
export const share = (order: Order, processes: number): ReadonlyArray<Order> => {
  const count = Math.max(1, Math.min(processes, order.seeds))
  const each = Math.floor(order.seeds / count)
  const rest = order.seeds % count
  let from = order.from
  return Array.from({ length: count }, (_, index) => {
    const part = { ...order, from, seeds: each + (index < rest ? 1 : 0) }
    from += part.seeds
    return part
  })
}
