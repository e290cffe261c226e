import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { VERSION } from "../../src/cli/Version.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { connectionFlags } from "../../src/cli/ConnectionFlags.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli, onCluster } from "./support.ts"

/** Calls that come to the same. */
const same = (calls: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const answers = yield* Effect.forEach(calls, (line) => onCluster([...line.split(" "), "--json"]))
    const [first] = answers
    assert.strictEqual(first?.exitCode, 0, first?.talk.join())
    for (const answer of answers) assert.deepStrictEqual(answer, first)
  })

const cells = (lines: ReadonlyArray<string>) =>
  lines.flatMap((line) => line.split(/ {2,}/)).filter((cell) => cell !== "")

const flagsOf = (lines: ReadonlyArray<string>) => lines.flatMap((line) => /^ {2}--([a-z-]+)/.exec(line)?.[1] ?? [])

const wordsOf = (lines: ReadonlyArray<string>) => lines.join(" ").replace(/ \\ /g, " ").split(/\s+/)

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

  it.effect("tells what was typed wrongly in a line, as text and as JSON", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, talk: RegExp]> = [
        [["topic", "rout", "x", "-n", "a:1"], /^error: Unknown subcommand "rout" .*\. Did you mean route\?$/],
        [["topic", "route", "x", "--topc", "y"], /^error: Unrecognized flag: --topc .*\. Did you mean --topic\?$/],
        [
          ["-n", "a:1", "topic", "list"],
          /^error: Unrecognized flag: -n .*flags stand after the name of a subcommand\.$/
        ],
        [
          ["topic", "--all", "list"],
          /^error: Unrecognized flag: --all .*flags stand after the name of a subcommand\.$/
        ],
        [["topic", "route", "x", "y"], /^error: Unexpected positional argument: "y"$/],
        [["topic", "route", "--topic", "x", "y"], /^error: "y" is one name too many/],
        [["group", "reset", "g", "-t", "t", "-g", "h", "--to", "latest"], /^error: "g" is one name too many/],
        [["topic", "route", "-t", "x", "-t", "y"], /^error: Invalid value for flag --topic: "2 occurrences"/],
        [["topic", "route", "--topic"], /^error: Missing value for flag --topic/],
        [["topic", "route"], /^error: No topic was named\.$/],
        [["group", "reset", "g", "--to", "latest"], /^error: No topic was named\.$/],
        [["consume", "orders"], /^error: No group was named\.$/],
        [["message", "get"], /^error: Missing required argument: id$/],
        [
          ["topic", "create", "x", "--queues", "0"],
          /^error: .*--queues: "0"\. Expected: a whole number, from 1 to 65535$/
        ],
        [["topic", "create", "x", "--queues", "-5"], /^error: .*--queues: "-5"\. Expected: a whole number, from 1/],
        [["topic", "create", "x", "--queues", "1e3"], /^error: .*--queues: "1e3"\. Expected: a whole number/],
        [["topic", "create", "x", "--queues", "4.0"], /^error: .*--queues: "4.0"\. Expected: a whole number/],
        [["topic", "create", "x", "--perm", "rwx"], /^error: .*--perm: "rwx"\. Expected: "rw"/],
        [
          ["topic", "create", "x", "--attribute", "novalue"],
          /^error: Invalid value for flag --attribute: .* name=value$/
        ],
        [["send", "x", "--property", "=v"], /^error: Invalid value for flag --property: .* name=value$/],
        [
          ["message", "query", "x", "--key", ""],
          /^error: Missing value for flag --key\. Expected: a value with a length/
        ],
        // A number without its unit would be a year.
        [["topic", "offsets", "x", "--at", "15"], /^error: .*--at: "15"\. Expected: write it as/],
        [["topic", "offsets", "x", "--at", "1 Aug"], /^error: .*--at: "1 Aug"/],
        [["topic", "offsets", "x", "--at", "99999999999999999999"], /^error: .*--at: "9+"/],
        [["topic", "list", "--log-level", "loud"], /^error: .*--log-level: "loud"/],
        [["topic", "route", "bad\u001b[2Jname"], /^error: "bad \[2Jname" cannot be a topic/],
        [["topic", "route", "--topic", "bad\u001b[2Jname"], /^error: .*"bad \[2Jname"/],
        // Letters behind one dash: a request for help would succeed, and nothing be sent.
        [["send", "orders", "--body", "-dash"], /^error: Unrecognized flag: -dash\. .*equals sign/],
        [["send", "-topic", "orders", "--body", "x"], /^error: Unrecognized flag: -topic\. .*two dashes/],
        [["send", "-torders", "--body", "x"], /^error: Unrecognized flag: -torders\. .*stands alone/]
      ]
      for (const [args, expected] of wrong) {
        const name = args.join(" ")
        const env = { env: { NAMESRV_ADDR: "192.0.2.1:9876" } }
        const call = yield* cli(args, env)
        assert.strictEqual(call.exitCode, 2, name)
        assert.deepStrictEqual(call.out, [], name)
        assert.lengthOf(call.talk, 2, name)
        assert.match(call.talk[0] ?? "", expected)
        assert.match(call.talk[1] ?? "", /^ {3}try: \S/, name)
        const told = yield* cli([...args, "--json"], env)
        assert.strictEqual(told.exitCode, 2, name)
        assert.lengthOf(told.out, 1, name)
        const { error } = JSON.parse(told.out[0] ?? "")
        assert.deepStrictEqual(Object.keys(error), ["tag", "message", "remedy"])
        assert.deepInclude(error, { tag: "UsageError", message: call.talk[0]?.slice("error: ".length) })
        assert.deepStrictEqual(told.talk, call.talk, name)
      }
    }).pipe(offline)
  )

  it.effect("tells as JSON when --json says so, and only then", () =>
    Effect.gen(function* () {
      const wrong = ["topic", "list", "--nonsense"]
      for (const [args, isJson] of [
        [["--json"], true],
        [["--json=yes"], true],
        [["--json", "false"], false],
        [["--json=0"], false],
        [["--json", "--no-json"], false],
        [["--", "--json"], false]
      ] as const) {
        const call = yield* cli([...wrong, ...args])
        assert.deepStrictEqual([call.exitCode, call.out.length], [2, isJson ? 1 : 0], args.join(" "))
      }
      // What was reached and failed is told in the same shape.
      const unreachable = yield* cli(["topic", "list", "--json", "--namesrv", "127.0.0.1:1"])
      assert.strictEqual(unreachable.exitCode, 3)
      assert.lengthOf(unreachable.out, 1)
      assert.deepInclude(JSON.parse(unreachable.out[0] ?? "").error, { tag: "NameServerUnavailable" })
    }).pipe(offline)
  )

  it.effect("takes names by flag or as arguments, in one order", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "readers"])
      yield* same(["topic route orders", "topic route --topic orders", "topic route -t orders"])
      yield* same(["peek orders", "peek -t orders"])
      yield* same(["message query orders --key k", "message query --key k -t orders"])
      yield* same([
        "group progress readers orders",
        "group progress -g readers orders",
        "group progress -t orders readers",
        "group progress orders -g readers",
        "group progress -g readers -t orders"
      ])
      yield* same(["group reset readers orders --to latest", "group reset --to latest orders -g readers"])
      yield* same(["group positions readers orders", "group positions -t orders -g readers"])
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } })))
  )

  it.effect("shows a command's own flags first, and breaks lines for a terminal and for no pipe", () =>
    Effect.gen(function* () {
      for (const command of ["topic list", "send", "consume", "topic", "doctor", "message query", ""]) {
        const words = command === "" ? ["--help"] : [...command.split(" "), "--help"]
        const { out } = yield* cli(words)
        const own = out.indexOf("FLAGS")
        const shared = out.indexOf("CONNECTION FLAGS")
        if (shared >= 0) {
          assert.isBelow(own, shared, command)
          assert.deepStrictEqual(flagsOf(out.slice(shared)), [...connectionFlags], command)
          assert.notIncludeMembers(flagsOf(out.slice(own, shared)), [...connectionFlags])
        }
        for (const columns of [40, 60, 80]) {
          const broken = yield* cli(words, { columns })
          // A word that is longer than a line stays whole.
          const several = broken.out.filter((line) => /\S \S/.test(line))
          for (const line of several) assert.isAtMost(line.length, columns, line)
          assert.deepStrictEqual(wordsOf(broken.out), wordsOf(out), command)
        }
      }
      const long = ["topic", "route", "x", "--namesrv", "127.0.0.1:1"]
      const whole = yield* cli(long)
      const narrow = yield* cli(long, { columns: 60 })
      assert.lengthOf(whole.talk, 2)
      assert.isAbove(narrow.talk.length, 3)
      for (const line of narrow.talk.slice(0, -1)) assert.isAtMost(line.length, 60)
      // The remedy has a command to be copied.
      assert.strictEqual(narrow.talk.at(-1), whole.talk.at(-1))
    }).pipe(offline)
  )

  it.effect("prints a table cell by cell where the terminal is too narrow for it", () =>
    Effect.gen(function* () {
      const args = ["topic", "route", "orders"]
      const wide = yield* onCluster(args)
      assert.lengthOf(wide.out, 3)
      assert.deepStrictEqual((yield* onCluster(args, { columns: 100 })).out, wide.out)
      const narrow = yield* onCluster(args, { columns: 40 })
      for (const line of narrow.out) assert.isAtMost(line.length, 40)
      const [head = "", ...rows] = wide.out
      const names = cells([head])
      assert.deepStrictEqual(
        narrow.out,
        rows.flatMap((row, i) => [
          ...(i === 0 ? [] : [""]),
          ...cells([row]).map((cell, k) => `${(names[k] ?? "").padEnd(12)}${cell}`)
        ])
      )
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ brokers: 2, topics: { orders: {} } })))
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
