import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Duration, Schema } from "effect"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { golden, goldenCommand } from "../protocol/goldenFrames.ts"

const now = 1_795_410_000_000
const int = (minimum: number, maximum: number) =>
  Arbitrary.map(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum }))), (value) =>
    value === 0 ? 0 : value
  )
const problem = (delay: MessageDelay.MessageDelay, limits?: Partial<MessageDelay.DelayLimits>) =>
  MessageDelay.check(delay, { nowMillis: now, ...limits })

const delay = Arbitrary.flatMap(Arbitrary.schema(Schema.Literals(["Level", "By", "At"])), (tag) =>
  tag === "Level"
    ? Arbitrary.map(int(1, 18), MessageDelay.level)
    : tag === "By"
      ? Arbitrary.map(int(0, MessageDelay.MAX_TIMER_DELAY_MILLIS), MessageDelay.by)
      : Arbitrary.map(int(0, now + MessageDelay.MAX_TIMER_DELAY_MILLIS), MessageDelay.at)
)

describe("MessageDelay", () => {
  it("the levels are RocketMQ's", () => {
    const names = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".split(" ")
    const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }
    assert.deepEqual(
      [...MessageDelay.LEVELS],
      names.map((name) => Number(name.slice(0, -1)) * (units[name.slice(-1)] ?? Number.NaN))
    )
    assert.strictEqual(MessageDelay.levelMillis(1), 1_000)
    assert.strictEqual(MessageDelay.levelMillis(18), 7_200_000)
    assert.isUndefined(MessageDelay.levelMillis(0))
    assert.isUndefined(MessageDelay.levelMillis(19))
  })

  it("takes durations and times in the forms that programs have", () => {
    assert.deepEqual(MessageDelay.by("20 seconds"), MessageDelay.by(Duration.minutes(1 / 3)))
    assert.deepEqual(MessageDelay.by(1_500), { _tag: "By", millis: 1_500 })
    assert.deepEqual(MessageDelay.by(Duration.nanos(1n)), { _tag: "By", millis: 1 })
    for (const time of [new Date(now), DateTime.makeUnsafe(now)]) {
      assert.deepEqual(MessageDelay.at(time), MessageDelay.at(now))
    }
  })

  it("becomes the property that a broker reads, as in the recorded frames", () => {
    assert.deepEqual(MessageDelay.toProperty(MessageDelay.level(3)), ["DELAY", "3"])
    assert.deepEqual(MessageDelay.toProperty(MessageDelay.by("20 seconds")), ["TIMER_DELAY_SEC", "20"])
    assert.deepEqual(MessageDelay.toProperty(MessageDelay.by(1_500)), ["TIMER_DELAY_MS", "1500"])
    assert.deepEqual(MessageDelay.toProperty(MessageDelay.at(now)), ["TIMER_DELIVER_MS", `${now}`])
    for (const [name, expected] of [
      ["send-v2-request-delay-level", MessageDelay.level(1)],
      ["send-v2-request-timer", MessageDelay.by("20 seconds")]
    ] as const) {
      const properties = MessageProperties.decode(goldenCommand(golden(name)).extFields?.["i"] ?? "")
      assert.deepEqual(MessageDelay.fromProperties(properties), expected)
    }
  })

  it("uses the names of MessageConst", () => {
    const { DELAY_TIME_LEVEL, TIMER_DELAY_MS, TIMER_DELAY_SEC, TIMER_DELIVER_MS } = MessageProperties.MessageConst
    assert.deepEqual(
      [MessageDelay.level(1), MessageDelay.by(1), MessageDelay.by(1_000), MessageDelay.at(1)].map(
        (value) => MessageDelay.toProperty(value)[0]
      ),
      [DELAY_TIME_LEVEL, TIMER_DELAY_MS, TIMER_DELAY_SEC, TIMER_DELIVER_MS]
    )
  })

  it("is read in a broker's order", () => {
    const all = { DELAY: "2", TIMER_DELAY_SEC: "3", TIMER_DELAY_MS: "4", TIMER_DELIVER_MS: "5" }
    const { DELAY, ...timed } = all
    const { TIMER_DELAY_SEC, ...millis } = timed
    const { TIMER_DELAY_MS, ...time } = millis
    assert.deepEqual(MessageDelay.fromProperties(all), MessageDelay.level(Number(DELAY)))
    assert.deepEqual(
      MessageDelay.fromProperties({ ...timed, DELAY: "0" }),
      MessageDelay.by(Number(TIMER_DELAY_SEC) * 1_000)
    )
    assert.deepEqual(MessageDelay.fromProperties(millis), MessageDelay.by(Number(TIMER_DELAY_MS)))
    assert.deepEqual(MessageDelay.fromProperties(time), MessageDelay.at(5))
    assert.isUndefined(MessageDelay.fromProperties({ DELAY: "soon", TIMER_DELAY_MS: "" }))
  })

  it("is checked against the broker's limits", () => {
    const max = MessageDelay.MAX_TIMER_DELAY_MILLIS
    assert.strictEqual(max, 3 * 24 * 3_600_000)
    for (const good of [
      MessageDelay.level(1),
      MessageDelay.level(18),
      MessageDelay.by(0),
      MessageDelay.by(max),
      MessageDelay.at(now + max),
      MessageDelay.at(now - 1),
      MessageDelay.at(0)
    ]) {
      assert.isUndefined(problem(good), JSON.stringify(good))
    }
    for (const [bad, said] of [
      [MessageDelay.level(0), "levels go from 1 to 18"],
      [MessageDelay.level(19), "levels go from 1 to 18"],
      [MessageDelay.level(1.5), "levels go from 1 to 18"],
      [MessageDelay.by(max + 1), `at most ${max} ms`],
      [MessageDelay.by(Duration.infinity), `at most ${max} ms`],
      [{ _tag: "By", millis: -1 }, "negative"],
      [MessageDelay.by("-1 seconds"), "negative"],
      // Whoever writes no types.
      [MessageDelay.by(JSON.parse('"soon"')), "no whole number"],
      [MessageDelay.by(JSON.parse("{}")), "no whole number"],
      [{ _tag: "By", millis: Number.NaN }, "no whole number"],
      [MessageDelay.at(now + max + 1), `at most ${max} ms`],
      [MessageDelay.at(Number.NaN), "no time"],
      [MessageDelay.at(-1), "no time"]
    ] as const) {
      assert.include(problem(bad) ?? "nothing", said, JSON.stringify(bad))
    }
    assert.isUndefined(problem(MessageDelay.level(30), { maxLevel: 30 }))
    assert.isUndefined(problem(MessageDelay.by(max + 1), { maxDelayMillis: max + 1 }))
  })

  it.prop("properties say the same delay, and what passes the check is a number", [delay], ([value]) => {
    assert.isUndefined(problem(value))
    const [name, text] = MessageDelay.toProperty(value)
    assert.deepEqual(MessageDelay.fromProperties({ [name]: text }), value)
  })
})
