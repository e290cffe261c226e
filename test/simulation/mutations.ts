import * as Fs from "node:fs"
import { type ModuleSource, registerHooks } from "node:module"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import type { ScenarioName } from "./Order.ts"

/** A change of one file. */
interface Edit {
  /** Below src/. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

/** A mistake that is put into the client on purpose: the simulation has to find each of them. */
export interface Mutation {
  readonly name: string
  /** What goes wrong. */
  readonly what: string
  /** Where it shows. */
  readonly scenario: ScenarioName
  /** None of them touches what another one looks for. */
  readonly edits: ReadonlyArray<Edit>
  /** The checks of which at least one must say so. */
  readonly foundBy: ReadonlyArray<string>
}

/** The mistakes, each of a kind that has been made in clients before. */
export const mutations: ReadonlyArray<Mutation> = [
  {
    name: "wrong-request",
    what: "an answer is matched to another request of the same connection",
    scenario: "producers",
    edits: [
      {
        file: "transport/ResponseTable.ts",
        find: "const pending = find(opaque)",
        replace: "const pending = find(opaque + 1) ?? find(opaque)"
      }
    ],
    foundBy: ["acknowledged", "honesty", "end", "program", "prompt", "deadline"]
  },
  {
    name: "retry-after-rejected",
    what: "a message that a broker refused for its own sake is sent again",
    scenario: "producers",
    edits: [
      {
        file: "producer/send/RetryPolicy.ts",
        find: `[ResponseCode.MESSAGE_ILLEGAL, rejected("fail", false)]`,
        replace: `[ResponseCode.MESSAGE_ILLEGAL, rejected("retry", true)]`
      }
    ],
    foundBy: ["retries"]
  },
  {
    name: "forgotten-finalizer",
    what: "the timers of a client instance outlive its scope",
    scenario: "producers",
    edits: [
      {
        file: "client/Timers.ts",
        find: "Effect.forkScoped({ startImmediately: true })",
        replace: "Effect.forkDetach({ startImmediately: true })"
      }
    ],
    foundBy: ["leak"]
  },
  {
    name: "timer-stops",
    what: "the timer of the routes stops when one of its runs fails",
    scenario: "producers",
    edits: [
      {
        file: "client/TopicRoute.ts",
        find: "(topic) => Effect.ignore(updateTopicRouteInfoFromNameServer(topic, undefined)),",
        replace: "(topic) => updateTopicRouteInfoFromNameServer(topic, undefined),"
      },
      {
        file: "client/Timers.ts",
        find: "Effect.catchCause((cause) => failed(ForeignText.ofThrown(Cause.squash(cause)), nameOf(cause))),",
        replace: ""
      }
    ],
    foundBy: ["timers", "routes"]
  },
  {
    name: "lost-wake-up",
    what: "frames that are encoded while the writer is on its way to sleep stay where they are",
    scenario: "producers",
    edits: [
      {
        file: "transport/FrameWriter.ts",
        find: "if (out.length > 0 && !scheduled) resume(Effect.void)\n    else wakeWriter",
        replace: "wakeWriter"
      }
    ],
    foundBy: ["prompt", "program", "heartbeat", "fairness"]
  },
  {
    name: "commit-past-unfinished",
    what: "a position passes messages that are not finished",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/queue/Position.ts",
        find: "if (slot !== this.head) return false",
        replace: "if (slot !== this.head) return (this.value = Math.max(this.value, this.after[slot & mask] ?? 0)) > 0"
      }
    ],
    foundBy: ["position"]
  },
  {
    name: "commit-after-revoke",
    what: "whoever gave a queue up commits its position once more later",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/run/Tenure.ts",
        find: `    forget(queue)
    consumption.interrupt(queue)
    yield* unlock([queue])`,
        replace: `    const late = { queue: queue.messageQueue, offset: queue.consumeOffset ?? 0 }
    yield* Effect.forkDetach(Effect.ignore(Effect.delay(store.persist(group, late), 3_000)))
    forget(queue)
    consumption.interrupt(queue)
    yield* unlock([queue])`
      }
    ],
    foundBy: ["revoked", "position"]
  },
  {
    name: "generation-not-checked",
    what: "a pull of a generation that is over goes on, and its answer is taken over",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/run/Tenure.ts",
        find: `        instance.pullMessageService.stop(loopKey(group, queue)),
        Effect.asVoid(FiberMap.run(revoking`,
        replace: `        Effect.void,
        Effect.asVoid(FiberMap.run(revoking`
      },
      {
        file: "consumer/run/TakeOver.ts",
        find: `    if (queue.dropped || queue.revoking) return
    options.counters.received`,
        replace: "    options.counters.received"
      },
      {
        file: "consumer/pull/PullLoop.ts",
        find: `    if (queue.dropped) {
      if (answer`,
        replace: `    if (queue.dropped && queue.generation < 0) {
      if (answer`
      }
    ],
    foundBy: ["twice"]
  },
  {
    name: "late-ack-counts",
    what: "an ack of a generation that is over counts",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/consume/HandOut.ts",
        find: `    if (queue.dropped) {
      counters.late++`,
        replace: `    if (queue.dropped && queue.generation < 0) {
      counters.late++`
      },
      {
        file: "consumer/consume/HandOut.ts",
        find: "for (const one of hit) revoke(one)",
        replace: "for (const one of hit) open.delete(one)"
      }
    ],
    foundBy: ["settled"]
  },
  {
    name: "unlock-before-commit",
    what: "a queue that is given up is unlocked before its position is written",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/run/Tenure.ts",
        find: `      const leave = Effect.gen(function* () {
        yield* positions.one(queue)`,
        replace: `      const leave = Effect.gen(function* () {
        if (locks !== undefined) yield* Effect.andThen(locks.release([queue]), Effect.sleep(1_500))
        yield* positions.one(queue)`
      },
      {
        file: "consumer/queue/QueueLocks.ts",
        find: "        for (const queue of ofBroker) queue.lockedAt = undefined",
        replace: ""
      }
    ],
    foundBy: ["order", "twice", "revoked"]
  },
  {
    name: "lock-not-granted",
    what: "a lock is believed that another member has",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/queue/QueueLocks.ts",
        find: "const isGranted = granted.has(queue.name)",
        replace: "const isGranted = granted.size >= 0"
      }
    ],
    foundBy: ["order", "twice", "revoked"]
  },
  {
    name: "lock-outlives-itself",
    what: "a lock is believed for as long as its broker keeps it",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/queue/ProcessQueue.ts",
        find: "export const LOCK_MAX_LIVE_MILLIS = 30_000",
        replace: "export const LOCK_MAX_LIVE_MILLIS = 60_000"
      }
    ],
    foundBy: ["order"]
  },
  {
    name: "seek-keeps-cache",
    what: "a poll after a seek gives what was cached before it",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/run/Tenure.ts",
        find: "    consumption.drop(queue)\n    const known",
        replace: "    if (queue.revoking) consumption.drop(queue)\n    const known"
      }
    ],
    foundBy: ["seek"]
  },
  {
    name: "automatic-commit-lost",
    what: "what polls gave is never noted as committed",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/lite/LitePull.ts",
        find: "      run.mark()\n      if (now() < commitDueAt)",
        replace: "      if (now() < commitDueAt)"
      }
    ],
    foundBy: ["exhaustion"]
  },
  {
    name: "queue-not-broadcast",
    what: "a member of a group that broadcasts leaves a queue to the others",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/run/Share.ts",
        find: "queues: byKey(queues) }\n    const ask",
        replace: "queues: byKey(queues.slice(1)) }\n    const ask"
      }
    ],
    foundBy: ["broadcast", "ownership"]
  },
  {
    name: "offsets-not-flushed",
    what: "a file of offsets takes the place of the one before it and was not flushed",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/offset/LocalOffsetStore.ts",
        find: "        yield* handle.sync\n",
        replace: ""
      }
    ],
    foundBy: ["broadcast", "program"]
  },
  {
    name: "pull-not-woken",
    what: "a pull loop that waits for room is not woken when there is some",
    scenario: "consumers",
    edits: [
      {
        file: "consumer/ConsumerRun.ts",
        find: "      room.wake(queue)\n      check()",
        replace: "      check()"
      }
    ],
    foundBy: ["exhaustion"]
  }
]

const textOf = (source: ModuleSource | null | undefined): string =>
  typeof source === "string" ? source : new TextDecoder().decode(source)

const pathOf = ({ file }: Edit): string => Path.join(import.meta.dirname, "../../src", file)

/** The edits whose place is not in the sources exactly once, as text. */
export const misplaced = (): ReadonlyArray<string> =>
  mutations.flatMap(({ edits, name }) =>
    edits.flatMap((edit) =>
      Fs.readFileSync(pathOf(edit), "utf8").split(edit.find).length === 2 ? [] : [`${name}: ${edit.file}`]
    )
  )

/** Makes every later import of the mutated files get the text with the mistake in it. Throws when it does not apply. */
export const apply = (name: string): void => {
  const mutation = mutations.find((candidate) => candidate.name === name)
  if (mutation === undefined)
    throw new Error(`no mutation ${name}; there are ${mutations.map((m) => m.name).join(", ")}`)
  for (const edit of mutation.edits) {
    if (Fs.readFileSync(pathOf(edit), "utf8").split(edit.find).length !== 2) {
      throw new Error(`mutation ${name} does not apply: ${edit.file} has not exactly one "${edit.find}"`)
    }
  }
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      const edits = mutation.edits.filter((candidate) => url === pathToFileURL(pathOf(candidate)).href)
      if (edits.length === 0) return loaded
      const source = edits.reduce((text, { find, replace }) => text.replace(find, () => replace), textOf(loaded.source))
      return { ...loaded, source }
    }
  })
}
