import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
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
  "broker update",
  "cluster writable",
  "cluster unwritable",
  "namesrv config",
  "user list",
  "user create",
  "user update",
  "user delete",
  "acl list",
  "acl create",
  "acl update",
  "acl delete"
])

const commands = root.subcommands
  .flatMap((group) => group.commands)
  .flatMap((command) => {
    const below = command.subcommands.flatMap((group) => group.commands)
    return below.length === 0 ? [command.name] : below.map(({ name }) => `${command.name} ${name}`)
  })

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
