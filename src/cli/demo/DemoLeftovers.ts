import { Clock, Effect, type Metric } from "effect"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** What a process holds, as far as it can be counted. */
export interface Holdings {
  readonly sockets: number
  readonly listeners: number
  readonly timers: number
}

/** Counts what the process holds now. */
export const holdings = (): Holdings => {
  const resources = process.getActiveResourcesInfo()
  const count = (name: string) => resources.filter((resource) => resource === name).length
  return { sockets: count("TCPSocketWrap"), listeners: count("TCPServerWrap"), timers: count("Timeout") }
}

/** A turn of the event loop: closed handles leave the process's list only then. */
const turn = Effect.callback<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** How long that may take, in milliseconds. */
const PATIENCE_MILLIS = 500

/** What the process holds more than `before`, once closed handles had time to go. */
export const leftovers = Effect.fnUntraced(function* (before: Holdings) {
  const more = (): Holdings => {
    const now = holdings()
    return {
      sockets: Math.max(0, now.sockets - before.sockets),
      listeners: Math.max(0, now.listeners - before.listeners),
      timers: Math.max(0, now.timers - before.timers)
    }
  }
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  const deadline = now() + PATIENCE_MILLIS
  for (;;) {
    const left = more()
    if (left.sockets + left.listeners + left.timers === 0 || now() > deadline) return left
    yield* turn
  }
})

/** Counts the fibers that begin and end while an effect runs with its `service`. */
export const makeFiberCounter = () => {
  let started = 0
  let ended = 0
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      started++
    },
    recordFiberEnd: () => {
      ended++
    }
  }
  return { service, started: () => started, running: () => started - ended }
}
