import { Result } from "effect"
import type { CheckSummary, SimulationFailed } from "../../src/testing/Simulation.ts"

/** What is simulated. */
export const scenarioNames = ["producers", "consumers"] as const
export type ScenarioName = (typeof scenarioNames)[number]

/** What one process is to run. */
export interface Order {
  readonly scenarios: ReadonlyArray<ScenarioName>
  readonly seeds: number
  readonly from: number
  /** The faults to keep of those that the seed draws; all when undefined. */
  readonly keep: ReadonlyArray<number> | undefined
  readonly mutation: string | undefined
  readonly logs: boolean
}

/** How many seeds a scenario gets: beside the producers the consumers have half of them, since one of theirs takes longer. */
export const seedsOf = ({ scenarios, seeds }: Order, name: ScenarioName): number =>
  name === "consumers" && scenarios.length > 1 ? Math.ceil(seeds / 2) : seeds

/** What came of it. */
export type Outcome =
  | { readonly _tag: "Held"; readonly summary: CheckSummary }
  | {
      readonly _tag: "Failed"
      readonly scenario: ScenarioName
      readonly seed: number
      readonly keep: ReadonlyArray<number>
      readonly checks: ReadonlyArray<string>
      readonly message: string
    }

/** The outcome of a check, as a value that can be printed. */
export const outcomeOf = (scenario: ScenarioName, checked: Result.Result<CheckSummary, SimulationFailed>): Outcome =>
  Result.isSuccess(checked)
    ? { _tag: "Held", summary: checked.success }
    : {
        _tag: "Failed",
        scenario,
        seed: checked.failure.seed,
        keep: checked.failure.keep,
        checks: [...new Set(checked.failure.violations.map(({ check }) => check))],
        message: checked.failure.message
      }

/** Two records of numbers of one shape, added. */
const sum = <N extends object>(a: N, b: N): N => {
  const others = new Map(Object.entries(b))
  const added = Object.entries(a).map(([name, value]) => [name, Number(value) + Number(others.get(name) ?? 0)])
  return { ...a, ...Object.fromEntries(added) }
}

/** Two outcomes as one, which is a failure where one of them is; `sameSeeds` of two scenarios. */
export const join = (a: Outcome, b: Outcome, sameSeeds = false): Outcome => {
  if (a._tag === "Failed") return a
  if (b._tag === "Failed") return b
  const [x, y] = [a.summary, b.summary]
  return {
    _tag: "Held",
    summary: {
      seeds: sameSeeds ? x.seeds : x.seeds + y.seeds,
      virtualMillis: x.virtualMillis + y.virtualMillis,
      faults: x.faults + y.faults,
      counts: sum(x.counts, y.counts),
      finishes: sum(x.finishes, y.finishes)
    }
  }
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
