import { assert, describe, it } from "@effect/vitest"
import { root } from "../../src/cli/main.ts"
import { verbs } from "../support/mqadmin.ts"

interface Found {
  readonly path: string
  readonly description: string
}

type AnyCommand = (typeof root)["subcommands"][number]["commands"][number]

/** Every command that does something, by its words. */
const commandsOf = (command: AnyCommand, path: ReadonlyArray<string> = []): ReadonlyArray<Found> => {
  const below = command.subcommands.flatMap((group) => group.commands)
  const own = { path: path.join(" "), description: command.description ?? "" }
  return [...(path.length === 0 ? [] : [own]), ...below.flatMap((one) => commandsOf(one, [...path, one.name]))]
}

const commands = commandsOf(root)

/** Commands that only have others below them. */
const isFolder = ({ path }: Found) =>
  commands.some((other) => other.path.startsWith(`${path} `)) && !path.endsWith(" config")

/** What mqadmin has nothing of. */
const ownCommands = ["decode", "consume"]

describe("docs/mqadmin.md", () => {
  it("names commands that there are, and says of every other verb why none does it", () => {
    const paths = new Set(commands.map(({ path }) => path))
    const listed = verbs()
    assert.isAtLeast(listed.length, 96)
    for (const { commands: named, name, ours } of listed) {
      assert.match(ours, /^(?:none: \S.*|(?:`[^`]+`(?:, )?)+)$/, name)
      for (const command of named) assert.isTrue(paths.has(command), `${name}: ${command}`)
    }
  })

  it("the help of each command names the verb that does the same, and the table names the command at it", () => {
    const known = new Map(verbs().map((verb) => [verb.name, verb]))
    for (const command of commands.filter((one) => !isFolder(one))) {
      if (ownCommands.includes(command.path)) continue
      const [, told] = /[mM]qadmin(?::| has)? (.*)$/s.exec(command.description) ?? []
      if (told === undefined) {
        assert.match(command.description, /mqnamesrv/, command.path)
        continue
      }
      // A verb stands at the beginning or behind a comma, and has an inner capital but for a few.
      const named = [...told.matchAll(/(?:^|, )(\w+)(?= -|,|\.|$| shows)/g)].flatMap(
        ([, word = ""]) => known.get(word) ?? []
      )
      if (/^(?:none|no such)/.test(told)) continue
      assert.isAbove(named.length, 0, `${command.path}: ${told}`)
      for (const { commands: ours, name } of named) {
        assert.isTrue(ours.includes(command.path), `${name} lacks ${command.path}`)
      }
    }
  })
})
