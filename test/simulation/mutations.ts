import * as Fs from "node:fs"
import { type ModuleSource, registerHooks } from "node:module"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"

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
  /** At different files. */
  readonly edits: ReadonlyArray<Edit>
  /** The checks of which at least one must say so. */
  readonly foundBy: ReadonlyArray<string>
}

/** The mistakes, each of a kind that has been made in clients before. */
export const mutations: ReadonlyArray<Mutation> = [
  {
    name: "wrong-request",
    what: "an answer is matched to another request of the same connection",
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
    edits: [
      {
        file: "transport/FrameWriter.ts",
        find: "if (out.length > 0 && !scheduled) resume(Effect.void)\n    else wakeWriter",
        replace: "wakeWriter"
      }
    ],
    foundBy: ["prompt", "program", "heartbeat"]
  }
]

const textOf = (source: ModuleSource | null | undefined): string =>
  typeof source === "string" ? source : new TextDecoder().decode(source)

const pathOf = ({ file }: Edit): string => Path.join(import.meta.dirname, "../../src", file)

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
      const edit = mutation.edits.find((candidate) => url === pathToFileURL(pathOf(candidate)).href)
      return edit === undefined
        ? loaded
        : { ...loaded, source: textOf(loaded.source).replace(edit.find, () => edit.replace) }
    }
  })
}
