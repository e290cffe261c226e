import type { Fiber, Scheduler } from "effect"

/** The fibers of one simulated program, in an order that chance decides. */
export interface SimulationScheduler extends Scheduler.Scheduler {
  /** Adds a task to those that can run. */
  readonly add: (task: () => void) => void
  /** Takes one of the tasks that can run; undefined when there is none. */
  readonly next: () => (() => void) | undefined
  /** How many tasks can run. */
  readonly ready: () => number
}

/**
 * How long fibers run before one has to yield, in operations: up to `2 ** n`, with an n between these two that
 * is drawn for each run, so that some runs switch often and some rarely.
 */
const TURN_BITS = { least: 3, most: 11 }

/** How often, of 1, the task that has waited longest is taken; otherwise any. */
const IN_ORDER = 0.5

/**
 * A scheduler that runs nothing by itself: its driver takes one task at a time. Which one, and where a fiber has to
 * yield, comes from `draw` (numbers from 0 to 1), so the same numbers give the same interleaving.
 */
export const make = (draw: () => number): SimulationScheduler => {
  const tasks: Array<() => void> = []
  const longestTurn = 2 ** (TURN_BITS.least + Math.floor(draw() * (TURN_BITS.most - TURN_BITS.least + 1)))
  let left = 0
  const newTurn = () => {
    left = 1 + Math.floor(draw() * longestTurn)
  }
  newTurn()
  const add = (task: () => void): void => {
    tasks.push(task)
  }
  const next = () => {
    if (tasks.length < 2 || draw() < IN_ORDER) return tasks.shift()
    const index = Math.floor(draw() * tasks.length)
    return tasks.splice(index, 1)[0]
  }
  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: add,
    flush: () => {
      for (let task = next(); task !== undefined; task = next()) task()
    }
  }
  return {
    executionMode: "async",
    // The operations of all fibers are counted together: a turn may end in the middle of whatever is running.
    shouldYield: (_fiber: Fiber.Fiber<unknown, unknown>) => {
      if (--left > 0) return false
      newTurn()
      return true
    },
    makeDispatcher: () => dispatcher,
    add,
    next,
    ready: () => tasks.length
  }
}
