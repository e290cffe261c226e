import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, References } from "effect"
import { inspect } from "node:util"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { type AnyError, explain, explainers } from "../../src/explain/Explain.ts"
import * as ForeignText from "../../src/message/ForeignText.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { rawClient } from "../embedded/support.ts"
import { textFields, namesOf } from "./Fields.ts"
import { type Place, placeText, type Planting } from "./PlantingWire.ts"
import { HARM, harmIn, LONG, textsOf } from "./Harm.ts"
import * as PlantingWire from "./PlantingWire.ts"
import { loadCommands, type Scenario, scenarios, type Shown } from "./scenarios.ts"

/** What is put into a text, or in its place. */
const changes = {
  behind: (text: string) => text + HARM,
  instead: () => HARM + LONG
}

const outer: ReadonlySet<unknown> = new Set(["StartError", "SendError", "RecallError", "AdminError"])

const isExplained = (error: unknown): error is AnyError =>
  error instanceof Error && "_tag" in error && (outer.has(error._tag) || Object.hasOwn(explainers, String(error._tag)))

/** Runs a scenario, and gives what it found to be unfit, and which texts servers sent. */
const examine = Effect.fnUntraced(function* (scenario: Scenario, planting: Planting) {
  const found: Array<string> = []
  const check = (what: string, line: string) => {
    const harm = harmIn(line)
    if (harm !== undefined) found.push(`${what}: ${harm}: ${JSON.stringify(line.slice(0, 400))}`)
  }
  const shown: Shown = {
    line: check,
    json: (what, line) => {
      if (!ForeignText.isClean(line)) found.push(`${what}: ${JSON.stringify(line.slice(0, 400))}`)
      try {
        JSON.parse(line)
      } catch {
        found.push(`${what}: no JSON: ${JSON.stringify(line.slice(0, 400))}`)
      }
    },
    error: (what, error) => {
      for (const [path, text] of textsOf(error, what, new Set())) check(path, text)
      check(`${what} as a text`, String(error))
      for (const line of inspect(error, { depth: 12 }).split("\n")) check(`${what} inspected`, line)
      if (isExplained(error)) {
        for (const [path, text] of textsOf(explain(error), `${what} explained`, new Set())) check(path, text)
      }
    },
    state: (what, state) => {
      for (const [path, text] of textsOf(state, what, new Set())) check(path, text)
    }
  }
  const logger = Logger.make(({ cause, fiber, message }) => {
    for (const part of [message].flat()) {
      if (typeof part === "string") check("log", part)
      else shown.error("log", part)
    }
    for (const reason of cause.reasons) {
      if (reason._tag === "Fail") shown.error("logged cause", reason.error)
      if (reason._tag === "Die") shown.error("logged defect", reason.defect)
    }
    for (const line of Cause.pretty(cause).split("\n")) check("logged cause", line)
    shown.state("log annotations", fiber.getRef(References.CurrentLogAnnotations))
  })
  const cluster = EmbeddedCluster.layerMemory({
    topics: { orders: { readQueueNums: 1, writeQueueNums: 1, attributes: { "message.type": "NORMAL" } } },
    brokers: [{ name: "broker-a", config: { transactionTimeOut: 1_000, transactionCheckInterval: 3_000 } }],
    seed: 1
  })
  yield* Effect.gen(function* () {
    const raw = yield* rawClient()
    yield* scenario.run(shown, raw)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(MQClientManager.layer, Layer.provideMerge(PlantingWire.layer(planting), cluster)),
      { local: true }
    ),
    Effect.provide(Layer.mergeAll(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All"))),
    Effect.catchCause((cause) => Effect.sync(() => found.push(`ended: ${Cause.pretty(cause).slice(0, 400)}`)))
  )
  return found
})

/** What stands in the same modules and is sent by clients only, or, as counts are, in answers to pops in order, which no part asks for. */
const onlySent = ["group", "jstack", "orderCountInfo", "userConsumerInfo"]

const nothing: Planting["change"] = (text) => text

/** What is in every answer is planted in so many scenarios of each kind; what only one asks for, in that one. */
const MAX_SCENARIOS = 3

/** In how many scenarios of a kind a text was planted. */
const tried = new Map<string, number>()

/** All texts that were planted. */
const everySeen = new Map<string, Place>()

const untried = (scenario: Scenario, seen: ReadonlyMap<string, Place>): ReadonlyArray<Place> => {
  const kind = scenario.name.split(":", 1)[0] ?? ""
  return [...seen].flatMap(([name, place]) => {
    everySeen.set(name, place)
    const key = `${kind} ${name}`
    const times = tried.get(key) ?? 0
    tried.set(key, times + 1)
    return times < MAX_SCENARIOS ? [place] : []
  })
}

/** Those that stand for all of them among the tests of rows, which are to be quick. */
const ofRow: ReadonlySet<string> = new Set(["producer: a start that waits for its registration"])

// In their order: the last one looks at what the others have shown.
describe("a text that a peer sends does no harm where it is shown", { shuffle: false }, () => {
  beforeAll(loadCommands, 120_000)

  for (const scenario of scenarios) {
    it.effect(
      ofRow.has(scenario.name) ? `A27: ${scenario.name}` : scenario.name,
      () =>
        Effect.gen(function* () {
          const { staticTopics = false } = scenario
          const seen = new Map<string, Place>()
          assert.deepStrictEqual(
            yield* examine(scenario, { place: undefined, change: nothing, seen, staticTopics }),
            []
          )
          const all: Array<string> = []
          for (const place of untried(scenario, seen)) {
            if (scenario.showsBody === true && place.path === "message.body") continue
            for (const [how, change] of Object.entries(changes)) {
              const found = yield* examine(scenario, { place, change, seen: new Map(), staticTopics })
              all.push(...new Set(found.map((line) => `${placeText(place)} (${how}): ${line}`)))
            }
          }
          assert.deepStrictEqual(all, [])
        }),
      { timeout: 120_000 }
    )
  }

  it("every field of text that a client reads was among them", () => {
    const names = new Set([...everySeen.values()].flatMap(({ path }) => namesOf(path)))
    const missing = [...textFields()].filter((name) => !names.has(name)).toSorted()
    assert.deepStrictEqual(missing, onlySent)
  })
})
