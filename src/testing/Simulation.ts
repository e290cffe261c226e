import { Cause, Clock, Deferred, Effect, Exit, Logger, Random, Schema } from "effect"
import type { Scope } from "effect"
import * as Millis from "../message/Millis.ts"
import type { EmbeddedClusterOptions } from "../embedded/EmbeddedCluster.ts"
import { EmbeddedCluster } from "../embedded/EmbeddedCluster.ts"
import { HostInfo } from "../transport/HostInfo.ts"
import { MemoryNetwork } from "../transport/MemoryWire.ts"
import type { Wire, WireError } from "../transport/Wire.ts"
import * as FaultPlan from "./FaultPlan.ts"
import * as Finishes from "./Finishes.ts"
import * as Ledger from "./Ledger.ts"
import * as Shrink from "./Shrink.ts"
import * as SimulationRun from "./SimulationRun.ts"

/**
 * Simulation: a program and a cluster in one process, on virtual time, where one seed decides how fibers are scheduled,
 * what goes wrong when, and every random choice. Run many seeds; the one that fails can be run again.
 *
 * Its parts serve by themselves as well: `Run` without a cluster, `Clock` and `Scheduler` under another driver,
 * `Shrink` for any list that fails.
 */

export * as Clock from "./SimulationClock.ts"
export * as Run from "./SimulationRun.ts"
export * as Scheduler from "./SimulationScheduler.ts"
export * as Shrink from "./Shrink.ts"

/** What a program under simulation gets. */
export interface World {
  /** The seed of this run. */
  readonly seed: number
  /** Write every send into it, and it is compared with what the brokers have in the end. */
  readonly ledger: Ledger.Ledger
  /** Let it watch the handlers of consumers, and what they finish is compared with every position that was committed. */
  readonly finishes: Finishes.Finishes
  /** Ends when all faults are over: from then on everything must work. */
  readonly healed: Effect.Effect<void>
  /** Reports something that must hold and does not. */
  readonly violation: (check: string, detail: string) => Effect.Effect<void>
}

/** What is simulated. */
export interface Scenario<E> {
  /** The cluster; default two brokers and two name servers. */
  readonly cluster?: EmbeddedClusterOptions | undefined
  /** What may go wrong; default: everything, on every server and for every topic of the cluster's options. */
  readonly faults?: Partial<FaultPlan.PlanOptions> | undefined
  /** Limits of one run. */
  readonly limits?: SimulationRun.RunLimits | undefined
  /**
   * The program, which uses the cluster as any program does. Its scope is closed when it has ended and no message waits
   * on a broker any more; what it acquired there must then be gone. Failing is a violation.
   */
  readonly program: (world: World) => Effect.Effect<void, E, EmbeddedCluster | Wire | MemoryNetwork | Scope.Scope>
}

/** What became of one seed. */
export interface SeedReport {
  /** The seed. */
  readonly seed: number
  /** The faults that the seed drew, those too that `keep` left out. */
  readonly plan: FaultPlan.FaultPlan
  /** Empty when everything held. */
  readonly violations: ReadonlyArray<Ledger.Violation>
  /** How the sends ended. */
  readonly counts: Ledger.LedgerCounts
  /** What became of the deliveries. */
  readonly finishes: Finishes.FinishCounts
  /** Milliseconds of virtual time. */
  readonly virtualMillis: number
  /** Turns of fibers. */
  readonly steps: number
  /** A number that depends on every request that any server got, and when: equal for equal runs. */
  readonly fingerprint: number
}

/** How one seed is run. */
export interface RunOptions {
  /** Whether what the program logs is shown; default false. */
  readonly logs?: boolean | undefined
  /** The faults to keep of those that the seed draws, by their place in the plan; default all. */
  readonly keep?: ReadonlyArray<number> | undefined
}

/** A seed under which something did not hold. */
export class SimulationFailed extends Schema.TaggedError<SimulationFailed>()("SimulationFailed", {
  /** The seed that fails; it fails again. */
  seed: Schema.Number,
  /** The faults that are needed for it, by their place in the seed's plan: {@link RunOptions.keep}. */
  keep: Schema.Array(Schema.Number),
  /** The same faults in words. */
  faults: Schema.Array(Schema.String),
  /** What did not hold, with these faults alone. */
  violations: Schema.Array(Schema.Struct({ check: Schema.String, detail: Schema.String }))
}) {
  override get message(): string {
    const lines = [
      `seed ${this.seed} fails with ${this.faults.length} fault(s):`,
      ...this.faults.map((fault) => `  ${fault}`),
      ...this.violations.slice(0, 10).map(({ check, detail }) => `${check}: ${detail}`),
      ...(this.violations.length > 10 ? [`and ${this.violations.length - 10} more`] : [])
    ]
    return `${lines.join("\n")}\nRun it again with seed ${this.seed} and keep [${this.keep.join(", ")}].`
  }
}

/** Virtual milliseconds that messages may wait on a broker after everything healed. */
const LONGEST_WAIT = 900_000

/** Virtual milliseconds in which a broker notices that a connection was closed. */
const NEWS_MILLIS = 100

/**
 * Virtual milliseconds for which a fault that is over may still hold up what was sent before: the longest drawn delays.
 */
const HELD_UP_MILLIS = 10_000

const nothing: Ledger.LedgerCounts = {
  acknowledged: 0,
  notSent: 0,
  rejected: 0,
  unknown: 0,
  duplicated: 0,
  storedUnknown: 0
}

const noFinishes: Finishes.FinishCounts = { delivered: 0, finished: 0, twice: 0, givenBack: 0, deadLetters: 0 }

const optionsOf = <E>(scenario: Scenario<E>): EmbeddedClusterOptions => ({
  brokers: 2,
  nameServers: 2,
  recordTraffic: { limit: 100_000, maxBytes: 256 * 1024 * 1024 },
  ...scenario.cluster
})

/** The same in every process, as ids are made of it. */
const HOST = { ip: "127.0.0.1", pid: 1 }

/** Waits until no delayed and no half message waits on a broker. */
const untilDelivered: Effect.Effect<boolean, never, EmbeddedCluster> = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  for (let waited = 0; waited < LONGEST_WAIT; waited += 1_000) {
    const waiting = (yield* cluster.delayedMessages).length + (yield* cluster.halfMessages).length
    if (waiting === 0) return true
    yield* Effect.sleep(1_000)
  }
  return false
})

/** FNV-1a over the requests of all servers. */
const fingerprint = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  let hash = 0x811c9dc5
  for (const { code, server, time } of yield* cluster.traffic.all) {
    for (const character of `${time} ${server} ${code};`) {
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
    }
  }
  return hash
})

/** The faults that a seed draws for a scenario. */
const planOf = <E>(scenario: Scenario<E>, seed: number) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const drawn = FaultPlan.generate({
      brokers: cluster.brokers.map(({ name }) => name),
      nameServers: cluster.nameServers.map(({ name }) => name),
      topics: Object.keys(optionsOf(scenario).topics ?? {}),
      ...scenario.faults
    })
    // A generator of its own, so that the plan does not depend on what the program draws.
    return yield* Random.withSeed(drawn, `${seed}/faults`)
  })

/** Runs a scenario once. */
export const runSeed = <E>(
  scenario: Scenario<E>,
  seed: number,
  options: RunOptions = {}
): Effect.Effect<SeedReport> => {
  const violations: Array<Ledger.Violation> = []
  const say = (check: string, detail: string) => void violations.push({ check, detail })
  const ledger = Ledger.make()
  const finishes = Finishes.make()
  const keep = options.keep === undefined ? undefined : new Set(options.keep)
  const topics = Object.keys(optionsOf(scenario).topics ?? {})
  let plan: FaultPlan.FaultPlan = []
  let healedAt = Infinity

  const program = Effect.gen(function* () {
    const network = yield* MemoryNetwork
    const cluster = yield* EmbeddedCluster
    plan = yield* planOf(scenario, seed)
    const healed = yield* Deferred.make<void, WireError>()
    const faults = plan.filter((_, index) => keep === undefined || keep.has(index))
    yield* FaultPlan.inject(faults).pipe(
      Effect.andThen(FaultPlan.heal(topics)),
      Effect.exit,
      Effect.tap(() => Effect.map(Clock.currentTimeMillis, (now) => (healedAt = now))),
      Effect.flatMap((exit) => Deferred.done(healed, exit)),
      Effect.forkScoped
    )
    const world: World = {
      seed,
      ledger,
      finishes,
      healed: Effect.orDie(Deferred.await(healed)),
      violation: (check, detail) => Effect.sync(() => say(check, detail))
    }
    const ended = yield* Effect.exit(
      Effect.scoped(
        Effect.gen(function* () {
          yield* scenario.program(world)
          yield* world.healed
          if (!(yield* untilDelivered))
            say("delivery", `messages still wait on a broker after ${Millis.text(LONGEST_WAIT)}`)
        })
      )
    )
    if (Exit.isFailure(ended)) say("program", Cause.pretty(ended.cause))
    yield* world.healed
    // The brokers notice after the program has ended.
    yield* Effect.sleep(NEWS_MILLIS)

    const open = yield* network.connections()
    if (open !== 0) say("leak", `${open} connection(s) are open after the program's scope was closed`)
    for (const { broker, clientId, group, kind, lastHeartbeat } of yield* cluster.clients) {
      // A broker may handle a heartbeat that was held up after the farewell that was not, and then keeps the client for
      // two minutes, as a real one does.
      if (lastHeartbeat <= healedAt + HELD_UP_MILLIS) continue
      say("leak", `${broker} still knows ${kind} ${group} of client ${clientId}`)
    }
    const audited = yield* ledger.audit
    const consumed = yield* finishes.audit
    for (const violation of [...audited.violations, ...consumed.violations]) violations.push(violation)
    return { counts: audited.counts, finishes: consumed.counts, fingerprint: yield* fingerprint }
  })

  const layer = EmbeddedCluster.layerMemory({ seed, ...optionsOf(scenario) })
  return Effect.map(
    SimulationRun.run(
      seed,
      Effect.scoped(Effect.provide(program, layer)).pipe(
        Effect.provideService(HostInfo, HOST),
        // The loggers are removed rather than the level raised: hidden logs must take as many turns as shown ones.
        Effect.updateService(Logger.CurrentLoggers, (loggers) => (options.logs === true ? loggers : new Set()))
      ),
      scenario.limits
    ),
    ({ exit, left, steps, virtualMillis }): SeedReport => {
      const reason = SimulationRun.reasonOf(exit)
      if (reason !== undefined) say("end", reason)
      else if (left.fibers > 0) say("leak", `${left.fibers} fiber(s) are left, ${left.sleepers} of them asleep`)
      const ended = Exit.isSuccess(exit) ? exit.value : { counts: nothing, finishes: noFinishes, fingerprint: 0 }
      return { seed, plan, violations, virtualMillis, steps, ...ended }
    }
  )
}

/** Which seeds to run, and who is told. */
export interface CheckOptions extends RunOptions {
  /** How many; default 100. */
  readonly seeds?: number | undefined
  /** The first one; default 1. */
  readonly from?: number | undefined
  /** Called after each seed. */
  readonly onReport?: ((report: SeedReport) => Effect.Effect<void>) | undefined
}

/** What all seeds came to. */
export interface CheckSummary {
  /** How many seeds were run. */
  readonly seeds: number
  /** Milliseconds of virtual time, all seeds together. */
  readonly virtualMillis: number
  /** How many faults they drew, all seeds together. */
  readonly faults: number
  /** How the sends ended, all seeds together. */
  readonly counts: Ledger.LedgerCounts
  /** What became of the deliveries, all seeds together. */
  readonly finishes: Finishes.FinishCounts
}

const add = (a: Ledger.LedgerCounts, b: Ledger.LedgerCounts): Ledger.LedgerCounts => ({
  acknowledged: a.acknowledged + b.acknowledged,
  notSent: a.notSent + b.notSent,
  rejected: a.rejected + b.rejected,
  unknown: a.unknown + b.unknown,
  duplicated: a.duplicated + b.duplicated,
  storedUnknown: a.storedUnknown + b.storedUnknown
})

const addFinishes = (a: Finishes.FinishCounts, b: Finishes.FinishCounts): Finishes.FinishCounts => ({
  delivered: a.delivered + b.delivered,
  finished: a.finished + b.finished,
  twice: a.twice + b.twice,
  givenBack: a.givenBack + b.givenBack,
  deadLetters: a.deadLetters + b.deadLetters
})

/** Removes every fault that a failing seed does not need, and returns the error with the rest. */
const failure = <E>(scenario: Scenario<E>, report: SeedReport, given: ReadonlyArray<number> | undefined) =>
  Effect.gen(function* () {
    let smallest = report
    const keep = yield* Shrink.shrink(given ?? report.plan.map((_, index) => index), (candidate) =>
      Effect.map(runSeed(scenario, report.seed, { keep: candidate }), (again) => {
        if (again.violations.length === 0) return false
        smallest = again
        return true
      })
    )
    return new SimulationFailed({
      seed: report.seed,
      keep,
      faults: report.plan.filter((_, index) => keep.includes(index)).map(FaultPlan.describe),
      violations: smallest.violations
    })
  })

/**
 * Runs a scenario with one seed after the other. Fails at the first one under which something does not hold, with as
 * few faults as it needs for that.
 */
export const check = <E>(
  scenario: Scenario<E>,
  options: CheckOptions = {}
): Effect.Effect<CheckSummary, SimulationFailed> =>
  Effect.gen(function* () {
    const { from = 1, onReport, seeds = 100 } = options
    let summary: CheckSummary = { seeds: 0, virtualMillis: 0, faults: 0, counts: nothing, finishes: noFinishes }
    for (let seed = from; seed < from + seeds; seed++) {
      const report = yield* runSeed(scenario, seed, options)
      if (onReport !== undefined) yield* onReport(report)
      if (report.violations.length > 0) return yield* yield* failure(scenario, report, options.keep)
      summary = {
        seeds: summary.seeds + 1,
        virtualMillis: summary.virtualMillis + report.virtualMillis,
        faults: summary.faults + report.plan.length,
        counts: add(summary.counts, report.counts),
        finishes: addFinishes(summary.finishes, report.finishes)
      }
    }
    return summary
  })
