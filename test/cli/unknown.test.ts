import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Command } from "effect/cli"
import { root } from "../../src/cli/main.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { onCluster } from "./support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, autoCreateTopicEnable: false, ...options }))

const ID = "7F0000010000273B8C4A0000000000001"

/** Every command that is about a topic or a group that has to be there, with one that is not. */
const UNKNOWN: ReadonlyArray<string> = [
  "topic route nope",
  "topic config nope",
  "topic stats nope",
  "topic offsets nope --at 1h",
  "topic update nope --perm rw",
  "topic delete nope --yes",
  "peek nope",
  "send nope --body x",
  "consume nope readers",
  `message get ${ID} nope`,
  "message query nope --key k",
  "message query nope --begin 1h",
  `message consume ${ID} nope readers`,
  `message trace ${ID} --trace-topic nope`,
  "group progress readers nope",
  "group positions readers nope",
  "group reset readers nope --to earliest",
  "doctor nope",
  "group progress nobody",
  "group progress nobody orders",
  "group clients nobody",
  "group positions nobody orders",
  "group reset nobody orders --to earliest",
  "group delete nobody --yes",
  "doctor orders nobody",
  "group update nobody --retries 3",
  "group status nobody",
  "topic order get nope",
  "topic order put nope --queues broker-a=1",
  "topic order delete nope --yes",
  "dlq list nobody",
  "dlq peek nobody",
  "dlq replay nobody",
  "bench nope --count 1",
  "group offsets show nobody",
  "group offsets set nobody orders --to latest",
  "group offsets clone readers --from nobody",
  "group watch nobody --count 1"
]

/** Commands that are about no topic and no group that has to be there. */
const NEITHER: ReadonlySet<string> = new Set([
  "dev",
  "decode",
  "topic list",
  "topic create",
  "group list",
  "group create",
  "cluster list",
  "broker runtime",
  "broker config",
  "broker config update",
  "cluster writable",
  "cluster unwritable",
  "namesrv config",
  "namesrv config update",
  "user list",
  "user create",
  "user update",
  "user delete",
  "acl list",
  "acl create",
  "acl update",
  "acl delete"
])

/** Every command that does something itself, by its words; `broker config` does, and has one below it. */
const wordsOf = (command: Command.Command.Any): ReadonlyArray<string> => {
  const below = command.subcommands.flatMap((group) => group.commands).flatMap(wordsOf)
  const names = below.map((name) => `${command.name} ${name}`)
  return below.length === 0 || command.name === "config" ? [command.name, ...names] : names
}

const commands = root.subcommands.flatMap((group) => group.commands).flatMap(wordsOf)

/** Other names that may be unknown: the flag or argument as help shows it, and calls of every command that has it. */
const OTHER_NAMES: ReadonlyMap<RegExp, ReadonlyArray<string>> = new Map([
  [
    /^ {2}--cluster\b/m,
    [
      "topic create fresh --cluster nope",
      "group list --cluster nope",
      "group create fresh --cluster nope",
      "group update readers --retries 3 --cluster nope",
      "group delete readers --yes --cluster nope",
      "user list --cluster nope",
      "user create ada --password secret --cluster nope",
      "user update ada --status disable --cluster nope",
      "user delete ada --yes --cluster nope",
      "acl list --cluster nope",
      "acl create ada --resource Topic:orders --action Pub --cluster nope",
      "acl update ada --resource Topic:orders --action Pub --cluster nope",
      "acl delete ada --yes --cluster nope"
    ]
  ],
  [
    /^ {2}broker\b/m,
    [
      "broker runtime nope",
      "broker config nope",
      "broker config update nope --set autoCreateTopicEnable=true --yes",
      "cluster writable nope",
      "cluster unwritable nope --yes"
    ]
  ],
  [
    /^ {2}--queue\b/m,
    [
      "peek orders --queue nope:0",
      "peek orders --queue 99",
      "send orders --queue nope:0 --body x",
      "group offsets set readers orders --queue nope:0 --to latest"
    ]
  ],
  [/^ {2}--set\b/m, ["broker config update broker-a --set nope=1 --yes", "namesrv config update --set nope=1 --yes"]],
  [/^ {2}--queues\b.*broker=/m, ["topic order put orders --queues nope=1"]]
])

describe("a topic or a group that nobody has", () => {
  it("is asked for by every command that is about one", () => {
    const missing = commands.filter(
      (name) => !NEITHER.has(name) && !UNKNOWN.some((line) => line.startsWith(`${name} `))
    )
    assert.deepStrictEqual(missing, [])
  })

  it.live("is exit code 4, and says what to do", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "readers"])
      const wrong: Array<string> = []
      for (const line of UNKNOWN) {
        for (const flags of [[], ["--json"]]) {
          const call = yield* onCluster([...line.split(" "), ...flags])
          const told = [...call.out, ...call.talk].join("\n")
          const name = line.includes("nobody") ? "nobody" : "nope"
          const says =
            told.includes(name) && (line.startsWith("doctor") || call.talk.some((text) => /try: \S/.test(text)))
          if (call.exitCode !== 4 || !says) wrong.push(`${line} ${flags.join()}: ${call.exitCode} ${told}`)
        }
      }
      assert.deepStrictEqual(wrong, [])
    }).pipe(cluster())
  )
})

describe("a cluster, a broker, a queue or a setting that nobody has", () => {
  it.live("is exit code 4 in every command that names one", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "readers"])
      const wrong: Array<string> = []
      for (const name of commands) {
        const { out } = yield* onCluster([...name.split(" "), "--help"])
        for (const [shown, lines] of OTHER_NAMES) {
          const has = shown.test(out.join("\n"))
          const called = lines.some((line) => line.startsWith(`${name} `))
          if (has && !called) wrong.push(`${name} is not called with ${shown.source}`)
        }
      }
      for (const line of [...OTHER_NAMES.values()].flat()) {
        const call = yield* onCluster(line.split(" "))
        const told = call.talk.join("\n")
        if (call.exitCode !== 4 || !/nope|99/.test(told) || !/try: \S/.test(told)) {
          wrong.push(`${line}: ${call.exitCode} ${told}`)
        }
      }
      assert.deepStrictEqual(wrong, [])
    }).pipe(cluster())
  )
})

describe("a cluster without brokers", () => {
  it.live("is said to be one, with what to do", () =>
    Effect.gen(function* () {
      yield* (yield* EmbeddedCluster).stopBroker("broker-a")
      for (const line of ["topic list", "cluster list"]) {
        const call = yield* onCluster(line.split(" "))
        assert.deepStrictEqual([call.exitCode, call.out.filter((text) => !/^[A-Z]/.test(text))], [0, []], line)
        assert.match(call.talk.join(), /the name server knows no broker/, line)
      }
      for (const line of [
        "topic route orders",
        "topic stats orders",
        "topic create fresh",
        "send orders --body x",
        "peek orders",
        "consume orders readers",
        "group list",
        "group create readers",
        "group progress readers orders",
        "message query orders --key k",
        "doctor orders"
      ]) {
        const call = yield* onCluster(line.split(" "))
        const told = [...call.out, ...call.talk].join("\n")
        assert.strictEqual(call.exitCode, 3, told)
        assert.match(told, /name server knows no broker|no broker is registered/, line)
        assert.match(told, /regist/, line)
      }
    }).pipe(cluster())
  )
})
