import { Effect, Metric } from "effect"

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

const TURNS = 50

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
  for (let i = 0; i < TURNS; i++) {
    const left = more()
    if (left.sockets + left.listeners + left.timers === 0) break
    yield* turn
  }
  return more()
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
