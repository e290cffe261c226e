import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, ConfigProvider, Duration, Effect, Redacted, Schema } from "effect"
import * as AdminConfig from "../../../src/admin/AdminConfig.ts"
import * as ClientConfig from "../../../src/client/ClientConfig.ts"
import { entriesOf } from "../../../src/client/options/ConfigNames.ts"
import type { Definition } from "../../../src/client/options/Option.ts"
import { show } from "../../../src/client/options/Option.ts"
import { resolve } from "../../../src/client/options/OptionTable.ts"
import * as Millis from "../../../src/message/Millis.ts"
import * as ProducerOptions from "../../../src/producer/ProducerOptions.ts"
import * as TransactionSettings from "../../../src/producer/TransactionSettings.ts"
import { runs } from "../../support/rig.ts"

const tables: ReadonlyArray<Readonly<Record<string, Definition<unknown, unknown>>>> = [
  ClientConfig.table,
  ProducerOptions.ownTable,
  TransactionSettings.table,
  AdminConfig.ownTable
]

const options = tables.flatMap((table) => Object.entries(table))
const entries = tables.flatMap((table) => entriesOf(table))

/** What a check reports of a value. */
const reportsOf = (option: Definition<unknown, unknown>, value: unknown): ReadonlyArray<string> => {
  const problems: Array<string> = []
  option.check(value, (problem, at = "") => problems.push(`${at}: ${problem}`))
  return problems
}

/** Values of every type; each option takes some and has to refuse the others, whatever they are. */
const strange: ReadonlyArray<unknown> = [
  null,
  true,
  0,
  -1,
  1.5,
  Number.NaN,
  Infinity,
  -Infinity,
  10n,
  "",
  "text",
  "\ud800",
  "3 seconds",
  Symbol("s"),
  () => true,
  [],
  [1],
  ["a b"],
  {},
  { get: 1 },
  { ca: 5 },
  { connectTimeoutMillis: "soon", nonsense: 1 },
  Object.create(null),
  new Date(Number.NaN),
  new Map(),
  Redacted.make("hush-hush"),
  Duration.infinity,
  Duration.seconds(-3)
]

const read = (text: string) => ({ name: "NAME", text, items: undefined })

describe("a table of options", () => {
  it("every default passes its own check and stays what it is", () => {
    for (const [name, option] of options) {
      if (option.default === undefined) continue
      assert.deepStrictEqual(
        option.check(option.default, (problem) => assert.fail(`${name} ${problem}`)),
        option.default
      )
    }
    for (const table of tables) {
      const { config, problems } = resolve<Record<string, unknown>>(table, {})
      assert.deepStrictEqual(
        problems.filter(({ problem }) => problem !== "is not set"),
        []
      )
      assert.sameMembers(Object.keys(config), Object.keys(table))
    }
  })

  it.effect("reading what is printed for a default gives the default back", () =>
    Effect.gen(function* () {
      let printed = 0
      for (const { entry, option } of entries) {
        if (entry.printed === undefined) continue
        printed++
        const value = yield* entry.read(read(entry.printed))
        const definition = Object.fromEntries(options)[option]
        if (definition !== undefined) assert.deepStrictEqual(value, definition.default, option)
        // A time is printed so that code can have it as well.
        if (entry.unit !== undefined) assert.strictEqual(Millis.of(entry.printed), value)
      }
      assert.isAbove(printed, 45)
    })
  )

  it("whatever is given, there is a value that can be used or a problem under the option's own name, and no defect", () => {
    for (const table of tables) {
      for (const [name, option] of Object.entries(table)) {
        for (const value of strange) {
          const { config, problems } = resolve<Record<string, unknown>>(table, { [name]: value })
          const own = problems.filter(
            ({ path }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`)
          )
          const others = problems.filter((problem) => !own.includes(problem) && problem.problem !== "is not set")
          assert.deepStrictEqual(others, [])
          for (const { problem } of own) {
            assert.notInclude(problem, "hush")
            assert.isAtMost(problem.length, 400)
            assert.notMatch(problem, /\p{Cc}/u)
          }
          // What is in use afterwards is usable.
          const used = config[name]
          if (used !== undefined) assert.deepStrictEqual(reportsOf(option, used), [], name)
        }
      }
    }
  })

  it("a value of another type is a problem for every option", () => {
    const symbol = Symbol("no option is one")
    for (const [name, option] of options) assert.lengthOf(reportsOf(option, symbol), 1, name)
  })

  it("no time may be negative, infinite or none", () => {
    const times = entries.filter(({ entry }) => entry.unit !== undefined && !/\./.test(entry.at))
    assert.isAbove(times.length, 10)
    const byName = Object.fromEntries(options)
    for (const { option } of times) {
      const time = byName[option]
      if (time === undefined) continue
      for (const bad of [-1, Number.NaN, Infinity, "soon", "-1 seconds", Duration.infinity, "Infinity", {}, []]) {
        assert.lengthOf(reportsOf(time, bad), 1, `${option} ${show(bad)}`)
      }
      for (const good of ["20 seconds", Duration.seconds(20), 20_000, 20_000_000_000n, [20, 0], { seconds: 20 }]) {
        assert.strictEqual(
          time.check(good, (problem) => assert.fail(`${option} ${problem}`)),
          20_000
        )
      }
    }
  })

  it.effect.prop(
    "is total: any value for any option",
    { value: Arbitrary.schema(Schema.Unknown) },
    ({ value }) =>
      Effect.sync(() => {
        for (const [, option] of options) option.check(value, () => {})
        assert.isString(show(value))
      }),
    runs(100)
  )

  it("parts of remoting are checked, and what is none of them is told", () => {
    const { config, problems } = ClientConfig.resolve({
      remoting: JSON.parse(
        '{"connectTimeoutMillis":"2 seconds","idleTimeoutMillis":-5,"maxInFlightRequests":0,"tls":{},"typo":1,"reconnectBackoffMillis":{"max":"1 minute"}}'
      )
    })
    assert.deepStrictEqual(problems.map(({ path }) => path).toSorted(), [
      "remoting.idleTimeoutMillis",
      "remoting.maxInFlightRequests",
      "remoting.tls",
      "remoting.typo"
    ])
    assert.include(problems.map(({ problem }) => problem).join(), "stands beside remoting, as the option tls")
    assert.deepStrictEqual(config.remoting, {
      connectTimeoutMillis: 2_000,
      reconnectBackoffMillis: { initial: 100, max: 60_000 }
    })
  })

  it("no two names of one kind of client stand for two options", () => {
    // Held for a producer's by its own test.
    const names = AdminConfig.reader.names().flatMap(({ environment }) => environment)
    assert.strictEqual(new Set(names).size, names.length)
  })
})

describe("values of a Config", () => {
  it.effect("of a provider that gives anything else are told, not thrown", () =>
    Effect.gen(function* () {
      for (const { entry, option } of entries) {
        const value = yield* entry.read(read("\u0000 nonsense"))
        assert.isDefined(value, option)
      }
    }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({})))
  )
})
