/** What a process holds at one moment, so that two moments can be compared. */
import { EventEmitter } from "node:events"

/** Everything that a long run could leave behind. */
export interface Resources {
  /** Handles and requests that keep the process alive, by kind: sockets, servers, timers, look-ups. */
  readonly handles: Readonly<Record<string, number>>
  readonly fibers: number
  /** Listeners on the process and on everything that is open. */
  readonly listeners: number
  /** MiB of heap in use, after a collection where `--expose-gc` allows one. */
  readonly heapMiB: number
  /** MiB outside of the heap that belong to buffers. */
  readonly externalMiB: number
}

const listenersOf = (emitter: EventEmitter): number =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)

/** The open handles themselves; Node has no public way to them, and without one only the process is counted. */
const openHandles = (): ReadonlyArray<unknown> => {
  const list: unknown = Reflect.get(process, "_getActiveHandles")
  const handles: unknown = typeof list === "function" ? Reflect.apply(list, process, []) : []
  return Array.isArray(handles) ? handles : []
}

/** What the process holds now. */
export const resources = (fibers: () => number): Resources => {
  const handles: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1
  // Twice: what a finalizer lets go of is collected in the second.
  globalThis.gc?.()
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  const emitters = openHandles().filter((handle): handle is EventEmitter => handle instanceof EventEmitter)
  return {
    handles,
    fibers: fibers(),
    listeners: [process, ...emitters].reduce((sum, emitter) => sum + listenersOf(emitter), 0),
    heapMiB: heapUsed / 1024 / 1024,
    externalMiB: arrayBuffers / 1024 / 1024
  }
}

/** What there is more of after than before, in words; heap and buffers are left to whoever knows how much is much. */
export const leftOver = (before: Resources, after: Resources): ReadonlyArray<string> => {
  const kinds = new Set([...Object.keys(before.handles), ...Object.keys(after.handles)])
  const more = [...kinds].map((kind): [string, number, number] => [
    kind,
    before.handles[kind] ?? 0,
    after.handles[kind] ?? 0
  ])
  more.push(["fibers", before.fibers, after.fibers], ["listeners", before.listeners, after.listeners])
  return more.filter(([, a, b]) => b > a).map(([kind, a, b]) => `${kind}: ${a} before, ${b} after`)
}

/** One line of a table. */
export const describe = ({ externalMiB, fibers, handles, heapMiB, listeners }: Resources): string =>
  [
    `heap ${heapMiB.toFixed(2)} MiB`,
    `buffers ${externalMiB.toFixed(2)} MiB`,
    `fibers ${fibers}`,
    `listeners ${listeners}`,
    ...Object.entries(handles).map(([kind, count]) => `${kind} ${count}`)
  ].join(", ")
