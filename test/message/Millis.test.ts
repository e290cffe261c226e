import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Millis from "../../src/message/Millis.ts"
import { ConnectFailed, RequestTimeout, TooManyRequests } from "../../src/transport/RemotingError.ts"
import { runs } from "../support/rig.ts"

const src = Path.join(import.meta.dirname, "../../src")

describe("times in messages", () => {
  it("A28: are whole milliseconds and never negative", () => {
    assert.strictEqual(Millis.text(3_000), "3000 ms")
    assert.strictEqual(Millis.text(2_187.33), "2188 ms")
    assert.strictEqual(Millis.text(0.01), "1 ms")
    assert.strictEqual(Millis.text(0), "0 ms")
    assert.strictEqual(Millis.text(-0.2), "0 ms")
    assert.strictEqual(Millis.text(-2_636.08), "0 ms")
  })

  it("A28: are so in what a request can fail with, whatever the clock gave", () => {
    const address = "127.0.0.1:10911"
    const errors = [-2_636.08, 0.4, 1_999.999].flatMap((millis) => [
      new RequestTimeout({ address, code: 10, timeoutMillis: millis, sent: false }),
      new RequestTimeout({ address, code: 10, timeoutMillis: millis, sent: true }),
      new TooManyRequests({ address, timeoutMillis: millis }),
      new ConnectFailed({ address, kind: "refused", retryAfterMillis: millis, cause: undefined })
    ])
    for (const { message } of errors) assert.match(message, /(?<![\d.-])\d+ ms/, message)
    for (const { message } of errors) assert.notMatch(message, /-\d|\d\.\d+ ms/, message)
  })

  it("are written by one function, wherever a time is told", () => {
    const files = Fs.readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
    const byHand = files
      // The command line measures: it shows tenths below 10 ms, and seconds. A delay is told as the user wrote it.
      .filter((file) => !["cli/Text.ts", "message/Millis.ts", "message/MessageDelay.ts"].includes(file))
      .filter((file) => /\$\{[^}]*\} ms\b/.test(Fs.readFileSync(Path.join(src, file), "utf8")))
    assert.deepStrictEqual(byHand, [])
  })
})

describe("a time that a user gave", () => {
  it("is a duration, a text, or a number in the unit of its option", () => {
    for (const [input, millis] of [
      [3_000, 3_000],
      [0.5, 0.5],
      ["3 seconds", 3_000],
      ["1.5 seconds", 1_500],
      ["2 minutes", 120_000],
      [Duration.seconds(3), 3_000],
      [Duration.nanos(1_500_000n), 1.5],
      [2_000_000n, 2],
      [[1, 500_000_000], 1_500],
      [{ minutes: 1, seconds: 2 }, 62_000],
      [{ hours: undefined, millis: undefined, seconds: 1 }, 1_000],
      [Duration.infinity, Infinity],
      ["Infinity", Infinity],
      ["-1 seconds", -1_000],
      [Duration.negativeInfinity, -Infinity]
    ] as const) {
      assert.strictEqual(Millis.of(input), millis)
    }
    assert.strictEqual(Millis.of(15, 60_000), 900_000)
    assert.strictEqual(Millis.of("15 seconds", 60_000), 15_000)
  })

  it("is NaN where it is none, whatever it is", () => {
    const none: ReadonlyArray<unknown> = [
      Number.NaN,
      "soon",
      "3",
      "",
      "3 parsecs",
      true,
      undefined,
      null,
      Symbol("3 seconds"),
      () => 3,
      {},
      [],
      [1],
      [1, "2"],
      [Number.NaN, 0],
      { second: 1 },
      { seconds: "1" },
      { seconds: 1, more: 1 },
      new Date(0),
      Object.create(null)
    ]
    for (const input of none) assert.isNaN(Millis.of(input))
  })

  it.effect.prop(
    "is a number for any value at all",
    { input: Arbitrary.schema(Schema.Unknown) },
    ({ input }) => Effect.sync(() => assert.isNumber(Millis.of(input))),
    runs(300)
  )
})

describe("a pause", () => {
  it("is none for what is no time and for a negative one, and may be without end", () => {
    for (const [input, millis] of [
      ["2 seconds", 2_000],
      [5, 5],
      [-5, 0],
      [Number.NaN, 0],
      ["soon", 0],
      [undefined, 0],
      [Infinity, Infinity]
    ] as const) {
      assert.strictEqual(Millis.pause(input), millis)
    }
  })
})
