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

interface Printed {
  readonly file: string
  readonly command: string
}

/** Every command that a text of src tells somebody to run; comments tell nobody. */
const printed: ReadonlyArray<Printed> = Fs.readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) =>
    Fs.readFileSync(`${src}/${file}`, "utf8")
      .split("\n")
      .filter((line) => !/^\s*(?:\/?\*|\/\/)/.test(line))
      .flatMap((line) =>
        [...line.replace(NAME, "1").matchAll(COMMAND)].map(([, command = ""]) => ({
          file,
          command: command.replace(PROSE, "").trim()
        }))
      )
  )

/** What a command says to what it cannot read: a flag, a subcommand, a word too many. */
const UNREAD = /[Uu]nrecognized|[Uu]nknown subcommand|[Uu]nexpected|Invalid value/

/** Without a name server a command that is written right lacks nothing else; the doctor looks for one. */
const said = (command: string) =>
  Effect.map(
    cli([
      ...command.split(/\s+/),
      ...(command === "doctor" || /^doctor (?!--namesrv)/.test(command) ? ["-n", "127.0.0.1:1"] : [])
    ]),
    ({ talk }) => talk.join("\n")
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
