import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { classPath, javaTool } from "../rocketmq/Jars.ts"
import { folderOptions, writeConfiguration } from "../rocketmq/ServerNode.ts"
import { type Command, run } from "./Processes.ts"
import type { Kind, Task } from "./Task.ts"

/** The contestants: what has to be there before they can run, what they can do, and how they are run. */

export type PeerName = "bare" | "ours" | "java" | "go" | "ali-ons"

/** A contestant that can run. */
export interface Peer {
  readonly name: PeerName
  /** As the page calls it, with its version. */
  readonly title: string
  readonly command: (task: Task) => Command
  /** Starts, sends one message and tells how long that took; see `start/`. */
  readonly startCommand: (task: Task) => Command
  readonly env: Readonly<Record<string, string>>
}

/** A contestant that cannot run here, and why. */
export interface Absent {
  readonly name: PeerName
  readonly title: string
  readonly reason: string
}

const here = import.meta.dirname
const node = (script: string, task: Task, ...rest: ReadonlyArray<string>): Command => [
  process.execPath,
  "--conditions=@effect-rocketmq/source",
  Path.join(here, script),
  JSON.stringify(task),
  ...rest
]

/** What a contestant's client cannot do, or is not measured with. */
const lacks: Readonly<Record<PeerName, ReadonlyArray<Kind>>> = {
  bare: [],
  ours: [],
  java: ["consume"],
  go: ["auto", "consume"],
  "ali-ons": ["oneway", "batch", "auto", "consume"]
}

/** Whether a client has such sends at all; only this package's consumer is measured. */
export const has = (name: PeerName, kind: Kind): boolean => !lacks[name].includes(kind)

const SETUP_SECONDS = 300

type Make = (folder: string, packageFolder: string) => Promise<Peer>

/** Each makes what it needs in a folder of its own, and fails with a reason. */
const makers: Readonly<Record<PeerName, { readonly title: string; readonly make: Make }>> = {
  bare: {
    title: "bare node:net, ready-made frames",
    make: async () => ({
      name: "bare",
      title: "bare node:net, ready-made frames",
      command: (task) => node(task.kind === "consume" ? "bareConsumer.ts" : "bare.ts", task),
      startCommand: (task) => [process.execPath, Path.join(here, "start", "bare.mjs"), JSON.stringify(task)],
      env: {}
    })
  },
  ours: {
    title: "effect-rocketmq",
    make: async (_, packageFolder) => ({
      name: "ours",
      title: "effect-rocketmq",
      command: (task) =>
        node(task.kind === "consume" ? "oursConsumer.ts" : task.form === undefined ? "ours.ts" : "oursForms.ts", task),
      startCommand: (task) => [process.execPath, Path.join(packageFolder, "ours.mjs"), JSON.stringify(task)],
      env: {}
    })
  },
  java: {
    title: "Java client 5.5.0",
    make: async (folder) => {
      const jars = await Effect.runPromise(classPath("5.5.0"))
      const source = Path.join(here, "java", "BenchClient.java")
      await run([javaTool("javac"), "--release", "11", "-nowarn", "-cp", jars, "-d", folder, source], {
        limitSeconds: SETUP_SECONDS
      })
      await Effect.runPromise(writeConfiguration(folder))
      const path = `${folder}${Path.delimiter}${jars}`
      const command = (task: Task): Command => [
        javaTool("java"),
        ...folderOptions(folder),
        "-Xmx512m",
        "-cp",
        path,
        "BenchClient",
        JSON.stringify(task)
      ]
      return { name: "java", title: "Java client 5.5.0", command, startCommand: command, env: {} }
    }
  },
  go: {
    title: "rocketmq-client-go v2",
    make: async (folder) => {
      const program = Path.join(folder, "bench")
      const source = Path.join(here, "go")
      await run(["go", "build", "-buildvcs=false", "-mod=readonly", "-o", program, "."], {
        limitSeconds: SETUP_SECONDS,
        folder: source
      })
      const version = /rocketmq-client-go\/v2 (\S+)/.exec(Fs.readFileSync(Path.join(source, "go.mod"), "utf8"))?.[1]
      const command = (task: Task): Command => [program, JSON.stringify(task)]
      return {
        name: "go",
        title: `rocketmq-client-go ${(version ?? "v2").replace(/-0\.(\d{8}).*/, " of $1")}`,
        command,
        startCommand: command,
        env: {}
      }
    }
  },
  "ali-ons": {
    title: "ali-ons 3.12",
    make: async (folder) => {
      Fs.writeFileSync(Path.join(folder, "package.json"), "{}")
      const npm = process.env["npm_execpath"]
      const install: Command = npm === undefined ? ["npm"] : [process.execPath, npm]
      await run(
        [...install, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "ali-ons@3.12"],
        { limitSeconds: SETUP_SECONDS, folder }
      )
      return {
        name: "ali-ons",
        title: "ali-ons 3.12",
        command: (task) => node("aliOns.ts", task, folder),
        startCommand: (task) => [
          process.execPath,
          Path.join(here, "start", "aliOns.mjs"),
          JSON.stringify(task),
          folder
        ],
        // It keeps files in the home folder.
        env: { HOME: folder }
      }
    }
  }
}

export const peerNames: ReadonlyArray<PeerName> = ["bare", "ours", "java", "go", "ali-ons"]

/** Makes the contestants that can run here, below a folder; the others say why not. This package was built before. */
export const prepare = async (
  names: ReadonlyArray<PeerName>,
  folder: string,
  packageFolder: string,
  say: (line: string) => void
): Promise<{ readonly peers: ReadonlyArray<Peer>; readonly absent: ReadonlyArray<Absent> }> => {
  const peers: Array<Peer> = []
  const absent: Array<Absent> = []
  for (const name of peerNames) {
    const { make, title } = makers[name]
    if (!names.includes(name)) {
      absent.push({ name, title, reason: "left out by --peers" })
      continue
    }
    const own = Path.join(folder, name)
    Fs.mkdirSync(own)
    try {
      peers.push(await make(own, packageFolder))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      absent.push({ name, title, reason })
      say(`${title} is absent: ${reason}`)
    }
  }
  return { peers, absent }
}
