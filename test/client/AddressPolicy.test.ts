import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger } from "effect"
import * as AddressPolicy from "../../src/client/AddressPolicy.ts"
import { AddressRefused } from "../../src/client/AddressRefused.ts"
import type { BrokerEndpoint } from "../../src/client/AddressTranslator.ts"

const same = ({ address }: BrokerEndpoint) => Effect.succeed(address)

const policy = (allowAddress?: (address: string) => boolean, translate = same) =>
  AddressPolicy.make({ allowAddress, translate })

const endpoint = (address: string, brokerName = "broker-a"): BrokerEndpoint => ({ brokerName, brokerId: 0, address })

const refused = (result: string | AddressRefused): AddressRefused => {
  assert.instanceOf(result, AddressRefused)
  assert.isBelow(result.message.length, 1_000)
  assert.notMatch(result.message, /[\p{Cc}\p{Cf}]/u)
  return result
}

const bug = (): never => {
  throw new Error("the user's bug")
}

const unprintable = (): never => {
  const thrown: unknown = { toString: bug }
  throw thrown
}

describe("AddressPolicy", () => {
  it.effect.each([
    ["10.0.0.1:10911", "10.0.0.1:10911"],
    ["broker-a.internal:10911", "broker-a.internal:10911"],
    ["127.0.0.1:1", "127.0.0.1:1"],
    ["::1:10911", "[::1]:10911"],
    ["[2001:DB8::0:1]:10911", "[2001:db8::1]:10911"],
    ["::ffff:10.0.0.1:10911", "10.0.0.1:10911"],
    ["240.0.0.1:1", "240.0.0.1:1"]
  ] as const)("dials %s as %s", ([announced, dialled]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* policy().resolve(endpoint(announced)), dialled)
      assert.strictEqual(policy().permit(announced), dialled)
    })
  )

  it.effect.each([
    ["169.254.169.254:80", "link-local"],
    ["[fe80::1]:10911", "link-local"],
    ["fe80::1%eth0:10911", "link-local"],
    ["[::ffff:169.254.169.254]:80", "link-local"],
    ["::ffff:a9fe:a9fe:80", "link-local"],
    ["[64:ff9b::a9fe:a9fe]:80", "link-local"],
    ["0.0.0.0:10911", "unspecified"],
    ["[::]:10911", "unspecified"],
    [":::10911", "unspecified"],
    ["224.0.0.1:10911", "multicast"],
    ["[ff02::1]:10911", "multicast"],
    ["255.255.255.255:10911", "broadcast"]
  ] as const)("does not dial %s, which is %s, unless allowAddress says so", ([address, problem]) =>
    Effect.gen(function* () {
      const result = refused(yield* policy().resolve(endpoint(address)))
      assert.deepStrictEqual([result.problem, result.brokerName], [problem, "broker-a"])
      assert.include(result.message, problem)
      assert.include(result.message, "brokerIP1")
      const allowed = yield* policy(() => true).resolve(endpoint(address))
      assert.isString(allowed)
      // A user's own words are taken as they are.
      assert.strictEqual(policy().permit(address), allowed)
    })
  )

  it.effect.each([
    ["127.0.0.1 :10911", "a space"],
    ["/127.0.0.1:10911", "a slash"],
    ["", "empty"],
    ["10.0.0.1", "port"],
    ["10.0.0.1:\u001b[2J", "port"],
    ["\u202e10.0.0.1:1", "control characters"],
    [`${"a".repeat(1 << 20)}:10911`, "more than 255 characters"],
    ["2852039166:80", "a number"],
    ["0xa9fea9fe:80", "a number"],
    ["169.254.43518:80", "a number"],
    ["0251.254.169.254:80", "a number"],
    ["127.1:80", "a number"]
  ] as const)("says what is wrong with %j, and never dials it", ([address, detail]) =>
    Effect.gen(function* () {
      for (const allow of [undefined, () => true]) {
        const result = refused(yield* policy(allow).resolve(endpoint(address)))
        assert.strictEqual(result.problem, "unreadable")
        assert.include(result.message, detail)
        assert.notInclude(result.message, "allowAddress")
      }
    })
  )

  it.effect("a rule that throws, or gives no boolean, allows nothing", () =>
    Effect.gen(function* () {
      const rules: ReadonlyArray<() => unknown> = [
        bug,
        unprintable,
        () => Promise.resolve(true),
        () => undefined,
        () => "yes"
      ]
      for (const rule of rules) {
        const given = policy((address) => Reflect.apply(rule, undefined, [address]))
        for (const result of [yield* given.resolve(endpoint("10.0.0.1:1")), given.permit("10.0.0.1:1")]) {
          assert.strictEqual(refused(result).problem, "rule-failed")
          assert.include(refused(result).message, "allowAddress")
        }
      }
      assert.include(refused(policy(bug).permit("h:1")).message, "the user's bug")
    })
  )

  it.effect("a translator that throws, dies, fails or gives no text translates nothing; an interruption passes", () =>
    Effect.gen(function* () {
      const translators: ReadonlyArray<() => unknown> = [
        bug,
        unprintable,
        () => Effect.die(new Error("dead")),
        () => Effect.fail("no"),
        () => Effect.succeed(undefined),
        () => "10.0.0.1:1"
      ]
      for (const translate of translators) {
        const given = policy(undefined, (asked) => Reflect.apply(translate, undefined, [asked]))
        const result = refused(yield* given.resolve(endpoint("10.0.0.1:1")))
        assert.strictEqual(result.problem, "not-translated")
        assert.include(result.message, "AddressTranslator")
      }
      const fiber = yield* Effect.forkChild(policy(undefined, () => Effect.never).resolve(endpoint("h:1")))
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  it.effect("a translation is judged, and not what was announced; what no address can be is not translated", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const given = policy(undefined, ({ address }) => {
        asked.push(address)
        return Effect.succeed(address === "0.0.0.0:1" ? "10.0.0.1:1" : "0.0.0.0:1")
      })
      assert.strictEqual(yield* given.resolve(endpoint("0.0.0.0:1")), "10.0.0.1:1")
      assert.strictEqual(refused(yield* given.resolve(endpoint("10.0.0.1:1"))).address, "0.0.0.0:1")
      refused(yield* given.resolve(endpoint(`${"a".repeat(1 << 20)}:1`)))
      assert.lengthOf(asked, 2)
    })
  )

  it.effect("tells of each address once, and of a few only", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const given = policy(() => false)
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 1_000; i++) {
          yield* given.tell(refused(yield* given.resolve(endpoint(`10.0.0.1:${i}`, "b\u001b[2J"))))
        }
      }
      assert.isAtMost(lines.length, 17)
      assert.lengthOf(new Set(lines), lines.length)
      assert.include(lines[0], "10.0.0.1:0")
      assert.include(lines.at(-1), "more")
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})
