import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { fileURLToPath } from "node:url"
import { quoted } from "../../src/cli/Text.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli } from "./support.ts"

const src = fileURLToPath(new URL("../../src", import.meta.url))

/** What stands for a name in a text: a value that is put in, or a word in angle brackets. */
const NAME = /\$\{[^{}]*\}|<\w+>/g

/** A command in a text ends where the sentence goes on. */
const COMMAND =
  /effect-rocketmq ((?:topic|group|doctor|cluster|broker|namesrv|user|acl|message|peek|dlq)\b[^`"'.,;:()|$]*)/g

/** Words that are no part of a command any more. */
const PROSE = /\s(?:shows|walks|reads|tells|and|or|to|on|with|\.|&&|--namesrv \.\.\.).*$/

/** A command that is printed for the cluster in use. */
const TO_RUN = /(?:toRun\(.*?\)|\brun|asAdmin)`([^`]*)`/g

interface Printed {
  readonly file: string
  readonly command: string
}

/** The texts of src with their files; comments tell nobody. */
const lines = Fs.readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) =>
    Fs.readFileSync(`${src}/${file}`, "utf8")
      .split("\n")
      .filter((line) => !/^\s*(?:\/?\*|\/\/)/.test(line))
      .map((line) => ({ file, line }))
  )

/** Every command that a text of src tells somebody to run. */
const printed: ReadonlyArray<Printed> = lines.flatMap(({ file, line }) =>
  [COMMAND, TO_RUN].flatMap((pattern) =>
    [...line.replace("<time>", "1h").replace(NAME, "1").matchAll(pattern)].map(([, command = ""]) => ({
      file,
      command: command.replace(PROSE, "").trim()
    }))
  )
)

/** What a command says to what it cannot read: a flag, a subcommand, a word too many. */
const UNREAD = /[Uu]nrecognized|[Uu]nknown subcommand|[Uu]nexpected|Invalid value/

/** A name server that nobody is at: a command that is written right lacks nothing else. */
const said = (command: string) =>
  Effect.map(cli([...command.split(/\s+/), ...(/--namesrv/.test(command) ? [] : ["-n", "127.0.0.1:1"])]), ({ talk }) =>
    talk.join("\n")
  ).pipe(Effect.provide(EmbeddedCluster.layerMemory({})))

describe("the commands that texts tell an operator to run", () => {
  it("are found", () => {
    assert.isAbove(printed.length, 20)
    for (const command of ["cluster writable 1", "group update 1 --consume", "topic update 1 --perm rw"]) {
      assert.include(
        printed.map((one) => one.command),
        command
      )
    }
  })

  it.effect("a wrong one is seen", () =>
    Effect.gen(function* () {
      for (const wrong of ["topic update 1 --nonsense", "topic nonsense", "doctor --nonsense"]) {
        assert.match(yield* said(wrong), UNREAD, wrong)
      }
    })
  )

  for (const command of new Set(printed.map((one) => one.command))) {
    it.effect(`effect-rocketmq ${command}`, () => Effect.map(said(command), (talk) => assert.notMatch(talk, UNREAD)))
  }

  it("name the cluster, in the command line", () => {
    const bare = lines.filter(
      ({ file, line }) =>
        file.startsWith("cli/") &&
        !/^(?:cli\/demo|cli\/dev)\//.test(file) &&
        !/\b(?:command|body): /.test(line) &&
        line.search(COMMAND) >= 0
    )
    assert.deepStrictEqual(bare, [])
  })

  it("have names that a shell takes as they are", () => {
    for (const [name, word] of [
      ["orders", "orders"],
      ["%DLQ%billing", "%DLQ%billing"],
      ["a|b", "'a|b'"],
      ["127.0.0.1:9876;127.0.0.2:9876", "'127.0.0.1:9876;127.0.0.2:9876'"],
      ["it's", "'it'\\''s'"]
    ] as const) {
      assert.strictEqual(quoted(name), word)
    }
  })
})

/** The commands that a text has, whole, as somebody copies them. */
const commandsIn = (text: string) =>
  [...text.matchAll(/effect-rocketmq (.*?)(?= ;|$)/gm)].map(([, words = ""]) =>
    [...words.matchAll(/'[^']*'|\S+/g)].map(([word]) => word.replace(/^'(.*)'$/, "$1"))
  )

describe("a command that is printed, pasted as it is", () => {
  /** Calls that fail, of which each prints a command. */
  const failing: ReadonlyArray<string> = [
    "send nope --body x",
    "topic route nope",
    "topic create orders",
    "group create readers",
    "group progress nobody",
    "group delete nobody --yes",
    "broker config nope",
    "consume nope readers",
    "message query orders",
    "doctor nope",
    "doctor orders nobody",
    "send closed --body x",
    "doctor closed"
  ]

  it.live("reaches the cluster that the failed one was about, however that was named", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const at = ["--namesrv", namesrvAddr, "--namespace", "shop"]
      for (const args of [
        ["topic", "create", "orders"],
        ["topic", "create", "closed", "--perm", "r"],
        ["group", "create", "readers"]
      ]) {
        assert.strictEqual((yield* cli([...args, ...at])).exitCode, 0, args.join(" "))
      }
      let pasted = 0
      for (const line of failing) {
        for (const [flags, env] of [
          [at, {}],
          [["--namespace", "shop"], { NAMESRV_ADDR: namesrvAddr }],
          [[], { ROCKETMQ_NAME_SERVER: namesrvAddr, ROCKETMQ_NAMESPACE: "shop" }]
        ] as const) {
          const failed = yield* cli([...line.split(" "), ...flags], { env })
          assert.notStrictEqual(failed.exitCode, 0, line)
          const told = [...failed.out, ...failed.talk].filter((text) => /^ *(?:try:|remedy)/.test(text)).join("\n")
          const commands = commandsIn(told)
          assert.isAbove(commands.length, 0, `${line}: ${failed.talk.join("\n")}`)
          for (const words of commands) {
            assert.includeMembers(words, at, told)
            // What it changes is no matter here; that it asks that cluster is.
            const call = yield* cli(words)
            assert.notInclude([2, 3], call.exitCode, `${words.join(" ")}: ${call.talk.join("\n")}`)
            pasted++
          }
          yield* cli(["topic", "delete", "nope", "--yes", ...at])
          yield* cli(["group", "delete", "nobody", "--yes", ...at])
          yield* cli(["topic", "update", "closed", "--perm", "r", ...at])
        }
      }
      assert.isAbove(pasted, 3 * failing.length)
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ autoCreateTopicEnable: false })))
  )
})
