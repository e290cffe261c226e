import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { circles, filesBelow, root, sources } from "./support/importGraph.ts"

/**
 * The house rules that a compiler does not hold: who may import whom, what is not used in src, and what every export
 * has. See docs/architecture.md.
 */

const below = (...rooms: ReadonlyArray<string>): ReadonlySet<string> => new Set(rooms)
const clientRooms = ["message", "protocol", "transport", "client"]
const apiRooms = [...clientRooms, "producer", "consumer", "admin", "explain"]

/** What a file of each folder may import besides its own folder. */
const rooms: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["message", below()],
  ["protocol", below("message")],
  ["transport", below("message", "protocol")],
  ["client", below("message", "protocol", "transport")],
  ["producer", below(...clientRooms)],
  ["consumer", below(...clientRooms, "producer")],
  ["admin", below(...clientRooms)],
  ["explain", below(...clientRooms, "producer", "consumer", "admin")],
  ["promise", below(...apiRooms)],
  // The embedded cluster must not know the client that it is the counterpart of.
  ["embedded", below("message", "protocol", "transport")],
  // The instruments for tests stand on the embedded cluster, and on no more of the client than it does.
  ["testing", below("message", "protocol", "transport", "embedded")],
  ["cli", below(...apiRooms, "promise", "embedded", "testing")],
  // The entry point itself.
  ["", below(...apiRooms)]
])

/**
 * What a sub-folder may import of its own room besides itself: other sub-folders, and single files of the room's top. The
 * other files at the top stand on all of them. `*` is every file of the top.
 */
const subRooms: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["protocol/request", below("*")],
  ["protocol/push", below("*", "protocol/request")],
  ["client/options", below()],
  ["client/push", below("*")],
  ["client/Drain.ts", below()],
  ["client/telemetry", below("client/Drain.ts")],
  ["producer/queue", below()],
  ["producer/TransactionSettings.ts", below()],
  ["producer/ProducerOptions.ts", below("producer/queue")],
  ["producer/ReadProducerConfig.ts", below("producer/ProducerOptions.ts", "producer/TransactionSettings.ts")],
  [
    "producer/ProducerConfig.ts",
    below("producer/ProducerOptions.ts", "producer/ReadProducerConfig.ts", "producer/TransactionSettings.ts")
  ],
  ["producer/send", below("producer/ProducerConfig.ts", "producer/queue")],
  ["producer/telemetry", below("producer/ProducerConfig.ts", "producer/queue", "producer/send")],
  ["producer/bulk", below("producer/ProducerConfig.ts", "producer/queue", "producer/send", "producer/telemetry")],
  ["producer/transaction", below("producer/ProducerConfig.ts", "producer/queue", "producer/send")],
  ["producer/reply", below("producer/ProducerConfig.ts", "producer/queue", "producer/send")],
  ["consumer/subscription", below()],
  ["consumer/offset", below()],
  ["consumer/rebalance", below()],
  ["consumer/queue", below()],
  [
    "consumer/run",
    below(
      "consumer/ReceivedMessage.ts",
      "consumer/ConsumerCounters.ts",
      "consumer/telemetry",
      "consumer/consume",
      "consumer/offset",
      "consumer/queue",
      "consumer/rebalance"
    )
  ],
  ["consumer/ReceivedMessage.ts", below()],
  ["consumer/ConsumeResult.ts", below()],
  ["consumer/ConsumerCounters.ts", below()],
  ["consumer/ReconsumePolicy.ts", below()],
  ["consumer/MessageListener.ts", below("consumer/ConsumeResult.ts", "consumer/ReceivedMessage.ts", "consumer/reply")],
  ["consumer/reply", below("consumer/ConsumeResult.ts", "consumer/ReceivedMessage.ts")],
  // A consumer of its own.
  [
    "consumer/reply/Replier.ts",
    below(
      "*",
      "consumer/reply",
      "consumer/MessageListener.ts",
      "consumer/ConsumeResult.ts",
      "consumer/ReceivedMessage.ts",
      "consumer/subscription"
    )
  ],
  // A consumer of its own, on what all have in common.
  [
    "consumer/lite",
    below(
      "*",
      "consumer/consume",
      "consumer/offset",
      "consumer/queue",
      "consumer/rebalance",
      "consumer/run",
      "consumer/subscription",
      "consumer/telemetry",
      "consumer/ConsumeResult.ts",
      "consumer/ReceivedMessage.ts"
    )
  ],
  [
    "consumer/simple",
    below(
      "*",
      "consumer/rebalance",
      "consumer/subscription",
      "consumer/telemetry",
      "consumer/ConsumeResult.ts",
      "consumer/ReceivedMessage.ts"
    )
  ],
  [
    "consumer/pull",
    below("consumer/ReceivedMessage.ts", "consumer/ConsumerCounters.ts", "consumer/telemetry", "consumer/queue")
  ],
  [
    "consumer/consume",
    below(
      "consumer/ReceivedMessage.ts",
      "consumer/ConsumeResult.ts",
      "consumer/ConsumerCounters.ts",
      "consumer/telemetry",
      "consumer/ReconsumePolicy.ts",
      "consumer/MessageListener.ts",
      "consumer/queue"
    )
  ],
  [
    "consumer/telemetry",
    below("consumer/ReceivedMessage.ts", "consumer/ConsumeResult.ts", "consumer/ConsumerCounters.ts", "consumer/queue")
  ],
  ["embedded/server", below()],
  ["embedded/store", below("embedded/server")],
  ["embedded/filter", below()],
  ["embedded/broker", below("embedded/server", "embedded/store", "embedded/filter")],
  ["embedded/nameserver", below("embedded/server", "embedded/store")],
  ["cli/access", below("*")],
  ["cli/bench", below("*")],
  ["cli/cluster", below("*")],
  ["cli/consume", below("*")],
  ["cli/demo", below("*")],
  ["cli/dev", below("*")],
  ["cli/dlq", below("*")],
  ["cli/doctor", below("*", "cli/remedy")],
  ["cli/group", below("*")],
  ["cli/message", below("*")],
  ["cli/remedy", below("*")],
  ["cli/send", below("*")],
  ["cli/topic", below("*")]
])

const roomOf = (file: string) => {
  const [first = "", second] = file.split(Path.sep)
  return second === undefined ? "" : first
}

/** The entry of {@link subRooms} that a file belongs to: itself or its folder; undefined at the top of a room. */
const subRoomOf = (file: string) => [file, Path.dirname(file)].find((name) => subRooms.has(name))

const mayImport = (from: string, to: string): boolean => {
  const room = roomOf(from)
  if (room !== roomOf(to)) return rooms.get(room)?.has(roomOf(to)) === true
  const own = subRoomOf(from)
  if (own === undefined) return true
  const target = subRoomOf(to)
  const allowed = subRooms.get(own)
  if (target === undefined) return allowed?.has("*") === true
  return own === target || allowed?.has(target) === true
}

/** The text without comments and strings, so that a word in them does not count. */
const code = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')

/** Files of which each imports the next, and the last the first. */
const chain = (...names: ReadonlyArray<string>) =>
  names.map((file, index) => ({ file, own: [names[(index + 1) % names.length] ?? ""] }))

const isInTest = (name: string) => Fs.existsSync(Path.join(root, "test", name))
const ownTest = (file: string) => isInTest(file.replace(/\.ts$/, ".test.ts"))
const isInSrc = (name: string) =>
  sources.some(({ file }) => (name.endsWith("/") ? file.startsWith(name) : file === name))

describe("architecture", () => {
  it("a file imports only from its own folder and from those that its own stands on", () => {
    const broken = sources.flatMap(({ file, own }) =>
      own.filter((target) => !mayImport(file, target)).map((target) => `${file} imports ${target}`)
    )
    assert.deepStrictEqual(broken, [])
    assert.isAbove(sources.length, 50)
  })

  it("every folder of src is one that the rules know", () => {
    const folders = new Set(sources.map(({ file }) => Path.dirname(file)))
    assert.deepStrictEqual(
      [...folders].filter((folder) => folder !== "." && !rooms.has(folder) && !subRooms.has(folder)),
      []
    )
  })

  it("no files import each other, types included", () => {
    assert.deepStrictEqual(circles(sources), [])
    // The search itself finds what there is.
    assert.deepStrictEqual(circles([...chain("a", "b", "c"), { file: "d", own: ["a"] }]), [["a", "b", "c"]])
    assert.deepStrictEqual(circles([...chain("x", "y"), ...chain("a")]), [["x", "y"], ["a"]])
  })

  it("the top of a room with sub-folders is small", () => {
    for (const room of ["producer", "embedded", "cli"]) {
      const top = sources.filter(({ file }) => Path.dirname(file) === room)
      assert.isAtMost(top.length, 20, room)
    }
  })

  it("src imports nothing but effect, @effect/platform-node and Node", () => {
    const allowed = /^(?:\.|effect$|effect\/|@effect\/platform-node(?:$|\/)|node:)/
    // Optional, and loaded by one file when it is needed.
    const optional = new Map([["lz4-napi", "protocol/Lz4.ts"]])
    const foreign = sources.flatMap(({ file, imports }) =>
      imports
        .filter((target) => !allowed.test(target) && optional.get(target) !== file)
        .map((target) => `${file} imports ${target}`)
    )
    assert.deepStrictEqual(foreign, [])
  })

  it("the parts of a client load no module that it can do without", () => {
    // The barrel of the platform package loads an HTTP stack and more; a client needs a socket.
    const heavy = sources.filter(
      ({ file, imports }) => roomOf(file) !== "cli" && imports.includes("@effect/platform-node")
    )
    assert.deepStrictEqual(
      heavy.map(({ file }) => file),
      []
    )
  })

  it("only transport/Wire.ts and the wires name the socket of effect", () => {
    const users = sources.filter(({ imports }) => imports.some((t) => /effect\/socket|NodeSocket/.test(t)))
    assert.isTrue(
      users.every(({ file }) => /^transport\/\w*Wire\.ts$/.test(file)),
      users.map(({ file }) => file).join(", ")
    )
  })

  it("time and chance come from the Clock and Random services", () => {
    const banned = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.now\b|\bsetInterval\b|\bsetTimeout\b/
    const users = sources.filter(({ text }) => banned.test(code(text))).map(({ file }) => file)
    assert.deepStrictEqual(users, [])
  })

  it("no list becomes the arguments of a call: a long one, which a peer can send, overflows the stack", () => {
    const spread = /(?:\bMath\.(?:max|min)|\bString\.from\w+|\.(?:push|unshift|concat|splice))\((?:[^(){}]*,)?\s*\.\.\./
    const users = sources.filter(({ text }) => spread.test(code(text))).map(({ file }) => file)
    assert.deepStrictEqual(users, [])
  })

  it("no type is given up, and no test is muted", () => {
    const given = /\bas any\b|:\s*any\b|<any>|@ts-ignore|@ts-expect-error/
    const muted = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|only|todo|fails)\b/
    const tests = filesBelow("test").filter((file) => !file.includes(`${Path.sep}target${Path.sep}`))
    assert.deepStrictEqual(
      sources.filter(({ text }) => given.test(code(text))).map(({ file }) => file),
      []
    )
    assert.deepStrictEqual(
      tests.filter((file) => muted.test(code(Fs.readFileSync(Path.join(root, file), "utf8")))),
      []
    )
  })

  it("every export has a docstring", () => {
    const bare: Array<string> = []
    for (const { file, text } of sources) {
      const lines = text.split("\n")
      lines.forEach((line, index) => {
        if (!/^export (?:const|class|interface|type|function|abstract)\b(?! \{)/.test(line)) return
        let above = index - 1
        while (above >= 0 && /^\s*$/.test(lines[above] ?? "")) above--
        const documented = /\*\/\s*$/.test(lines[above] ?? "")
        // The implementation of an overloaded function stands below its documented signatures.
        const name = /^export function (\w+)/.exec(line)?.[1]
        const overload =
          name !== undefined && lines.slice(0, index).some((l) => l.startsWith(`export function ${name}`))
        if (!documented && !overload) bare.push(`${file}:${index + 1} ${line.slice(0, 60)}`)
      })
    }
    assert.deepStrictEqual(bare, [])
  })

  it("every file has a test of its name, or stands in the table of docs/architecture.md", () => {
    const page = Fs.readFileSync(Path.join(root, "docs", "architecture.md"), "utf8")
    const [, section = ""] = page.split("\n## Which test is for which file\n")
    const rows = [...section.matchAll(/^\| (`.*?) +\| (`.*?) +\|$/gm)].map(([, files = "", tests = ""]) => ({
      files: [...files.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
      tests: [...tests.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "")
    }))
    const listed = rows.flatMap(({ files }) => files)
    const folders = listed.filter((name) => name.endsWith("/"))
    const names = new Set(listed)
    assert.deepStrictEqual(
      rows.flatMap(({ tests }) => tests).filter((test) => !test.endsWith(".test.ts") || !isInTest(test)),
      [],
      "tests that are not there"
    )
    assert.deepStrictEqual(
      listed.filter((name) => !isInSrc(name)),
      [],
      "files that are not there"
    )
    assert.strictEqual(names.size, listed.length, "each stands there once")
    assert.deepStrictEqual(
      sources
        .map(({ file }) => file)
        .filter((file) => !ownTest(file) && !names.has(file) && !folders.some((folder) => file.startsWith(folder))),
      [],
      "files without a test"
    )
  })

  it("the top level holds what docs/architecture.md names, and nothing else", () => {
    const allowed = new Set([
      ".ci",
      ".gitignore",
      ".npmrc",
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "docs",
      "package-lock.json",
      "package.json",
      "src",
      "test",
      "tsconfig.json"
    ])
    const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0")
    const top = new Set(tracked.map((path) => path.split("/")[0] ?? "").filter((name) => name !== ""))
    assert.deepStrictEqual(
      [...top].filter((name) => !allowed.has(name)),
      []
    )
  })
})
