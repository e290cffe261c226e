import { assert } from "@effect/vitest"

/**
 * Runs something that has to be linear in what it is given. The bounds are many times what it needs; without what it tests
 * it would take many times the bounds, or never end. The time is that of the processor, so that a busy machine does not
 * count; the memory is with what is not collected yet.
 */
export const bounded = <A>(limits: { readonly millis: number; readonly megabytes: number }, run: () => A): A => {
  const heap = process.memoryUsage().heapUsed
  const cpu = process.cpuUsage()
  const value = run()
  const { system, user } = process.cpuUsage(cpu)
  assert.isBelow((user + system) / 1_000, limits.millis, "milliseconds of work")
  assert.isBelow((process.memoryUsage().heapUsed - heap) / (1 << 20), limits.megabytes, "megabytes")
  return value
}
