import { Effect, Exit, Scope } from "effect"
import type { ClientConfig } from "./ClientConfig.ts"
import type { ClientMembers } from "./ClientMembers.ts"
import * as ConsumerTasks from "./ConsumerTasks.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { NameServer } from "./NameServer.ts"
import * as Timers from "./Timers.ts"
import type { TopicRoute } from "./TopicRoute.ts"

/** Timer 1's times and timer 5's period, which cannot be configured, in milliseconds; as in Java. */
const FETCH_NAME_SERVER = { initialDelayMillis: 10_000, periodMillis: 120_000 }
const ADJUST_THREAD_POOL_MILLIS = 60_000

/** What the timers of an instance work on. */
export interface TimerTargets {
  readonly config: ClientConfig
  readonly members: ClientMembers
  readonly nameServer: NameServer
  readonly routes: TopicRoute
  readonly heartbeat: Heartbeat
}

/** The five timers of an instance. */
export interface InstanceTimers {
  /** What each of them looks like now, by number. */
  readonly states: ReadonlyMap<number, Timers.TimerState>
  /** The consumer of the group leaves: ends what of it runs, within so many milliseconds. */
  readonly leave: ConsumerTasks.ConsumerTasks["leave"]
  /** Interrupts all five at once, and what they have begun. */
  readonly stop: Effect.Effect<void>
}

/** Starts the five timers in the current scope; each change of one runs `changed`. */
export const start = Effect.fnUntraced(function* (targets: TimerTargets, changed: Effect.Effect<void>) {
  const { config, heartbeat, members, nameServer, routes } = targets
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const states = new Map<number, Timers.TimerState>()

  const consumerTasks = (name: "persistConsumerOffset" | "adjustThreadPool", periodMillis: number) =>
    ConsumerTasks.make(members, {
      name,
      limitMillis: Timers.runLimitMillis(periodMillis),
      run: (consumer) => consumer[name]
    })

  return yield* Effect.gen(function* () {
    const persists = yield* consumerTasks("persistConsumerOffset", config.persistConsumerOffsetInterval)
    const adjusts = yield* consumerTasks("adjustThreadPool", ADJUST_THREAD_POOL_MILLIS)
    yield* Timers.start(
      [
        {
          number: 1,
          name: "fetchNameServerAddr",
          ...FETCH_NAME_SERVER,
          active: nameServer.refreshable,
          run: nameServer.fetchNameServerAddr
        },
        {
          number: 2,
          name: "updateTopicRouteInfoFromNameServer",
          initialDelayMillis: 10,
          periodMillis: config.pollNameServerInterval,
          active: true,
          run: routes.updateAll
        },
        {
          number: 3,
          name: "cleanOfflineBroker, sendHeartbeatToAllBroker",
          initialDelayMillis: 1_000,
          periodMillis: config.heartbeatBrokerInterval,
          active: true,
          run: heartbeat.cleanAndSend
        },
        {
          number: 4,
          name: "persistAllConsumerOffset",
          initialDelayMillis: config.persistConsumerOffsetInitialDelay,
          periodMillis: config.persistConsumerOffsetInterval,
          active: true,
          run: persists.startAll
        },
        {
          number: 5,
          name: "adjustThreadPool",
          initialDelayMillis: config.adjustThreadPoolInitialDelay,
          periodMillis: ADJUST_THREAD_POOL_MILLIS,
          active: true,
          run: adjusts.startAll
        }
      ],
      (timer) => {
        states.set(timer.number, timer)
        return changed
      }
    )
    const self: InstanceTimers = {
      states,
      leave: (group, timeoutMillis) =>
        Effect.all([persists.leave(group, timeoutMillis), adjusts.leave(group, timeoutMillis)], {
          concurrency: "unbounded",
          discard: true
        }),
      stop: Scope.close(scope, Exit.void)
    }
    return self
  }).pipe(Scope.provide(scope))
})
