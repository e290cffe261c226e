/**
 * Imports every module of src but those of the command line, which no entry point leads to, and prints as JSON what that did
 * besides: `node importing.ts`. With the folder of a build, its entry points: `node importing.ts dist`.
 *
 * The modules that ours stand on are loaded before anybody looks, so that what is found is ours alone. Only what happens
 * under a frame of ours counts, as Node's own loader reads files and the environment all the time.
 */
import * as ChildProcess from "node:child_process"
import * as Dns from "node:dns"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"

const built = process.argv[2]
const src = built === undefined ? Path.join(import.meta.dirname, "..", "..", "src") : Path.resolve(built)

const below = Fs.readdirSync(src, { recursive: true, encoding: "utf8" }).map((file) => file.split(Path.sep).join("/"))
const all = below.filter((file) => (built === undefined ? file.endsWith(".ts") : file.endsWith(".js")))
const files = all
  .filter((file) =>
    built === undefined ? !file.startsWith("cli/") : /^(?:(?:testing|promise|protocol)\/)?index\.js$/.test(file)
  )
  .toSorted()

const foreign = new Set(
  all.flatMap((file) =>
    [
      ...Fs.readFileSync(Path.join(src, file), "utf8").matchAll(
        /^\s*(?:import|export)\b[^"'`;]*?from\s+"([^".][^"]*)"/gm
      )
    ].map((match) => match[1] ?? "")
  )
)
for (const name of foreign) await import(name)

const found: Array<string> = []
const marker = `${pathToFileURL(src).href}/`

/** Writes down what was done, if a module of src did it. */
const note = (what: string): void => {
  const frames = (new Error("here").stack ?? "").split("\n").filter((line) => line.includes(marker))
  if (frames.length > 0) found.push(`${what} ${frames.at(-1)?.trim() ?? ""}`)
}

/** Puts a watch before every function of an object. */
const watch = (name: string, target: object): void => {
  for (const key of Object.keys(target)) {
    const original: unknown = Reflect.get(target, key)
    if (typeof original !== "function" || /^[A-Z_]/.test(key)) continue
    const watched = function (this: unknown, ...args: ReadonlyArray<unknown>): unknown {
      note(`${name}.${key}`)
      return Reflect.apply(original, this, args)
    }
    Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original))
    try {
      Reflect.set(target, key, watched)
    } catch {
      // A getter without a setter.
    }
  }
}

const defaultOf = (module: object): object => {
  const value: unknown = Reflect.get(module, "default")
  return typeof value === "object" && value !== null ? value : module
}

/** What everybody shares, by name; compared before and after. */
const shared = (): Readonly<Record<string, string>> => {
  const classes = [Object, Array, Function, String, Number, Promise, Map, Set, Uint8Array, Error, RegExp, Date, Symbol]
  const objects: ReadonlyArray<readonly [string, object]> = [
    ["globalThis", globalThis],
    ["process", process],
    ...classes.map((one) => [one.name, one] as const),
    ...classes.map((one): readonly [string, object] => [`${one.name}.prototype`, Object(one.prototype)])
  ]
  return Object.fromEntries(
    objects.map(([name, object]) => [name, Reflect.ownKeys(object).map(String).toSorted().join()])
  )
}

const listeners = (): ReadonlyArray<string> =>
  process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`)

const held = () => ({
  shared: shared(),
  listeners: listeners(),
  handles: process.getActiveResourcesInfo().toSorted(),
  stackTraceLimit: Error.stackTraceLimit
})

// Their handles are opened by whoever looks at them first.
const { stderr, stdout } = process
const before = held()
watch("fs", defaultOf(Fs))
watch("fs.promises", Fs.promises)
watch("net", defaultOf(Net))
watch("dns", defaultOf(Dns))
watch("http", defaultOf(Http))
watch("https", defaultOf(Https))
watch("child_process", defaultOf(ChildProcess))
syncBuiltinESMExports()
watch("console", console)
for (const key of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"] as const) {
  const original = globalThis[key]
  Reflect.set(globalThis, key, (...args: ReadonlyArray<unknown>): unknown => {
    note(key)
    return Reflect.apply(original, globalThis, args)
  })
}
const write = stdout.write.bind(stdout)
stdout.write = () => found.push("standard output") > 0
stderr.write = () => found.push("standard error") > 0
process.env = new Proxy(process.env, {
  get: (target, key) => {
    note(`env.${String(key)}`)
    return Reflect.get(target, key)
  },
  has: (target, key) => {
    note(`env.${String(key)}`)
    return Reflect.has(target, key)
  },
  ownKeys: (target) => {
    note("env")
    return Reflect.ownKeys(target)
  }
})

for (const file of files) await import(pathToFileURL(Path.join(src, file)).href)
await new Promise<void>((resolve) => {
  setImmediate(resolve)
})

const after = held()
const changed = Object.keys(before.shared).filter((name) => before.shared[name] !== after.shared[name])
if (JSON.stringify(before.listeners) !== JSON.stringify(after.listeners)) changed.push("listeners of the process")
if (JSON.stringify(before.handles) !== JSON.stringify(after.handles)) changed.push("handles of the process")
if (before.stackTraceLimit !== after.stackTraceLimit) changed.push("Error.stackTraceLimit")
write(`${JSON.stringify({ modules: files.length, found, changed })}\n`)
