import { Effect, Exit } from "effect"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import type { World } from "../../src/testing/Simulation.ts"

/** What must hold of the order in which handlers get messages, over all members of a group or within one of them. */

/** A member that handles messages. */
export interface Handling {
  readonly group: string
  readonly alive: () => boolean
}

/** What is known of a queue. */
interface Known {
  /** Whose handlers run with messages of it. */
  readonly running: Set<Handling>
  /** The greatest offset that was finished, and all that were. */
  highest: number
  readonly finished: Set<number>
}

/** By world, group and queue. */
const known = new WeakMap<World, Map<string, Known>>()

const of = (world: World, name: string): Known => {
  const all = known.get(world) ?? new Map<string, Known>()
  known.set(world, all)
  const one = all.get(name) ?? { running: new Set(), highest: -1, finished: new Set() }
  all.set(name, one)
  return one
}

type Result = { readonly _tag: string } | void

/**
 * A handler that gets messages in order: no two members run one with messages of a queue at a time, and whatever ends for
 * good for the first time is behind all that did before. `spent` says of a message that it does not come again.
 */
export const inOrder =
  <A extends Result, E>(
    world: World,
    member: Handling,
    spent: (message: ReceivedMessage) => boolean,
    handler: (message: ReceivedMessage) => Effect.Effect<A, E>
  ) =>
  (message: ReceivedMessage): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const { queue, queueOffset } = message
      const name = `${member.group}/${MessageQueue.key(queue)}`
      const state = of(world, name)
      const others = [...state.running].filter((other) => other.alive())
      const violation =
        member.alive() && others.length > 0
          ? world.violation("order", `${queueOffset} of ${name} begins while another handler of the queue runs`)
          : Effect.void
      state.running.add(member)
      return Effect.andThen(violation, handler(message)).pipe(
        Effect.onExit((exit) => {
          state.running.delete(member)
          if (!member.alive() || Exit.hasInterrupts(exit)) return Effect.void
          const tag = Exit.isSuccess(exit) ? (exit.value?._tag ?? "Success") : "Fail"
          if (tag !== "Success" && tag !== "DeadLetter" && !spent(message)) return Effect.void
          if (state.finished.has(queueOffset)) return Effect.void
          state.finished.add(queueOffset)
          const { highest } = state
          state.highest = Math.max(highest, queueOffset)
          return queueOffset > highest
            ? Effect.void
            : world.violation("order", `${queueOffset} of ${name} is finished after ${highest}`)
        })
      )
    })

/** A handler that gets the messages of a key in order: no two of a key run in the member at a time. */
export const inOrderOfKeys = <A, E>(
  world: World,
  { group }: Handling,
  keyOf: (message: ReceivedMessage) => string,
  handler: (message: ReceivedMessage) => Effect.Effect<A, E>
) => {
  const running = new Set<string>()
  return (message: ReceivedMessage): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const key = keyOf(message)
      const violation = running.has(key)
        ? world.violation("order", `a message of key ${key} begins in ${group} while another one runs`)
        : Effect.void
      running.add(key)
      return Effect.andThen(violation, handler(message)).pipe(Effect.ensuring(Effect.sync(() => running.delete(key))))
    })
}
