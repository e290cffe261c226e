import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { VERSION } from "../../src/cli/Version.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { cli } from "./support.ts"

const offline = Effect.provide(MemoryWire.layer)

describe("the command line", () => {
  it.effect("tells its version and its help on standard output", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* cli(["--version"]), {
        exitCode: 0,
        out: [`effect-rocketmq ${VERSION}`],
        talk: []
      })
      const help = yield* cli(["--help"])
      assert.strictEqual(help.exitCode, 0)
      for (const command of [
        "dev",
        "doctor",
        "send",
        "consume",
        "peek",
        "topic",
        "group",
        "message",
        "cluster",
        "broker",
        "decode"
      ]) {
        assert.match(help.out.join("\n"), new RegExp(`^  ${command} `, "m"))
      }
      assert.deepStrictEqual(yield* cli([]), help)
    }).pipe(offline)
  )

  it.effect("refuses what cannot be the name of a topic or a group, before anybody is asked", () =>
    Effect.gen(function* () {
      for (const [command, expected] of [
        ["consume --topic bad!topic --group g", "1 to 127 letters, digits, %, |, - and _"],
        ["consume --topic orders --group bad!group", "1 to 255 letters, digits, %, |, - and _"],
        [`topic config ${"t".repeat(128)}`, "1 to 127"],
        ["group progress a:b", "1 to 255"],
        ["send --topic a/b --body x", "1 to 127"]
      ] as const) {
        const { exitCode, talk } = yield* cli([...command.split(" "), "--namesrv", "192.0.2.1:9876"])
        assert.strictEqual(exitCode, 2, command)
        assert.include(talk.join("\n"), expected)
      }
    }).pipe(offline)
  )

  it.effect("names mqadmin's counterpart in every command's help", () =>
    Effect.gen(function* () {
      const topics = ["list", "route", "config", "stats", "offsets", "create", "update", "delete"]
      const groups = ["list", "create", "delete", "progress", "clients", "positions", "reset"]
      const commands = [
        "send",
        "consume",
        "peek",
        "doctor",
        "decode",
        "cluster list",
        "broker runtime",
        "broker config",
        "message get",
        "message query",
        "message consume",
        "message trace",
        ...topics.map((name) => `topic ${name}`),
        ...groups.map((name) => `group ${name}`)
      ]
      for (const command of commands) {
        const { out } = yield* cli([...command.split(" "), "--help"])
        assert.match(out.join("\n"), /mqadmin/, command)
      }
      assert.match((yield* cli(["dev", "--help"])).out.join("\n"), /mqnamesrv and mqbroker/)
    }).pipe(offline)
  )

  it.effect("answers wrong usage briefly on standard error, with exit code 2", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [args: string, talk: RegExp]> = [
        ["send --topc x", /Unrecognized flag: --topc[^]*--topic/],
        ["send --topic x", /Missing required flag: --namesrv, and NAMESRV_ADDR is not set/],
        ["send --topic x --namesrv a:1 --count many", /count/],
        ["send --topic x --namesrv a:1 --count 0", /count/],
        ["send --topic x --namesrv a:1 --size 5000000", /size/],
        ["send --topic x --namesrv a:1 --property novalue", /property/],
        ["dev --port 70000", /port/],
        ["dev --brokers 0", /brokers/],
        ["topic create x --namesrv a:1 --perm rwx", /perm/],
        ["nonsense", /nonsense/]
      ]
      for (const [args, expected] of wrong) {
        const call = yield* cli(args.split(" "))
        assert.strictEqual(call.exitCode, 2, args)
        assert.deepStrictEqual(call.out, [], args)
        assert.match(call.talk.join("\n"), expected)
        assert.match(call.talk.at(-1) ?? "", /^ {3}try: effect-rocketmq.* --help$/)
      }
    }).pipe(offline)
  )

  it.effect("stands in docs/command-line.md, command by command and flag by flag", () =>
    Effect.gen(function* () {
      const page = readFileSync(new URL("../../docs/command-line.md", import.meta.url), "utf8")
      const shapes = page.slice(page.indexOf("## JSON"))
      for (const group of ["topic", "group", "message", "cluster", "broker"]) {
        const { out } = yield* cli([group, "--help"])
        const names = out
          .slice(out.indexOf("SUBCOMMANDS") + 1)
          .flatMap((line) => /^ {2}([a-z]+)\b/.exec(line)?.[1] ?? [])
        assert.isNotEmpty(names)
        for (const name of names) {
          assert.match(page, new RegExp(`^\\| .*\`${group} .*\\b${name}\\b`, "m"), `${group} ${name}`)
          assert.match(shapes, new RegExp(`^${group} ${name} `, "m"), `the JSON of ${group} ${name}`)
        }
      }
      const { out } = yield* cli(["topic", "list", "--help"])
      const flags = out.flatMap((line) => /^ {2}(--[a-z-]+)/.exec(line)?.[1] ?? []).filter((flag) => flag !== "--all")
      assert.includeMembers(flags, ["--access-key", "--tls-ca", "--namespace"])
      const talked = ["--help", "--version", "--completions", "--json", "--log-level"]
      for (const flag of flags.filter((name) => !talked.includes(name))) assert.include(page, `\`${flag}\``)
    }).pipe(offline)
  )

  it.effect("prints completions", () =>
    Effect.gen(function* () {
      for (const shell of ["bash", "zsh", "fish"]) {
        const { exitCode, out } = yield* cli(["--completions", shell])
        assert.strictEqual(exitCode, 0)
        assert.match(out.join("\n"), /doctor/)
      }
    }).pipe(offline)
  )
})
