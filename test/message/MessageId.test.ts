import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as MessageId from "../../src/message/MessageId.ts"
import { addressBytes, parseHost } from "../../src/message/HostAddress.ts"
import { makeUniqueIds } from "../../src/message/MessageId.ts"
import { runs } from "../support/rig.ts"

const golden = (name: string): string => fs.readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8")

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const timeOf = (id: string) => Number.parseInt(id.slice(20, 28), 16)

describe("unique ids", () => {
  const noon = new Date(2024, 4, 17, 12, 0, 0, 0).getTime()
  const monthStart = new Date(2024, 4, 1).getTime()

  it("have Java's layout: address, pid, random, milliseconds of the month, counter", () => {
    const next = makeUniqueIds({ ip: "10.1.2.255", pid: 0x12345, random: 0xdeadbeef })
    const millis = (noon - monthStart).toString(16).toUpperCase().padStart(8, "0")
    assert.strictEqual(next(noon), `0A0102FF2345DEADBEEF${millis}0001`)
    assert.strictEqual(next(noon), `0A0102FF2345DEADBEEF${millis}0002`)
  })

  it("hold 16 address bytes on an IPv6 machine, as the captured messages of one do", () => {
    const next = makeUniqueIds({ ip: "[fd00::23e]", pid: 0x8630, random: 0x946e0972 })
    const id = next(noon)
    assert.strictEqual(id.length, 56)
    assert.strictEqual(id.slice(0, 32), "FD00000000000000000000000000023E")
    assert.strictEqual(id.slice(32, 44), "8630946E0972")
    const captured = /UNIQ_KEY\\u0001([0-9A-F]+)/.exec(golden("send-v2-request"))?.[1] ?? ""
    assert.strictEqual(captured.length, id.length)
    assert.match(captured, /^[0-9A-F]{56}$/)
  })

  it("begin a new count of milliseconds with the month", () => {
    const next = makeUniqueIds({ ip: "127.0.0.1", pid: 1, random: 0 })
    const lastOfMay = new Date(2024, 4, 31, 23, 59, 59, 999).getTime()
    assert.strictEqual(timeOf(next(lastOfMay)), lastOfMay - monthStart)
    assert.strictEqual(timeOf(next(lastOfMay + 1)), 0)
    assert.strictEqual(timeOf(next(lastOfMay + 501)), 500)
    // The wall clock was set back over the boundary.
    assert.strictEqual(timeOf(next(lastOfMay)), lastOfMay - monthStart)
    // The longest month fits into 32 bits.
    assert.isBelow(31 * 24 * 3_600_000, 2 ** 32)
  })

  it("are unique: 200,000 of one client, however they fall on milliseconds", () => {
    const next = makeUniqueIds({ ip: "192.168.7.9", pid: 4242, random: 17 })
    const ids = new Set<string>()
    // 50,000 in one millisecond, then 1,000 in each of 150.
    for (let i = 0; i < 50_000; i++) ids.add(next(noon))
    for (let i = 0; i < 150_000; i++) ids.add(next(noon + 1 + Math.floor(i / 1_000)))
    assert.strictEqual(ids.size, 200_000)
  })

  it("differ between two clients of one process at one instant", () => {
    const a = makeUniqueIds({ ip: "10.0.0.1", pid: 7, random: 1 })
    const b = makeUniqueIds({ ip: "10.0.0.1", pid: 7, random: 2 })
    const ids = new Set(Array.from({ length: 1_000 }, () => [a(noon), b(noon)]).flat())
    assert.strictEqual(ids.size, 2_000)
  })
})

describe("addressBytes", () => {
  it("reads IPv4 and every form of IPv6, and nothing else", () => {
    assert.deepStrictEqual(addressBytes("1.2.3.255"), Uint8Array.of(1, 2, 3, 255))
    assert.deepStrictEqual(addressBytes("::1"), Uint8Array.from([...Array.from({ length: 15 }, () => 0), 1]))
    assert.deepStrictEqual(
      addressBytes("[fe80::1%eth0]"),
      Uint8Array.from([0xfe, 0x80, ...Array.from({ length: 13 }, () => 0), 1])
    )
    assert.strictEqual(addressBytes("1:2:3:4:5:6:7:8")?.length, 16)
    for (const bad of [
      "",
      "1.2.3",
      "1.2.3.256",
      "a.b.c.d",
      "1:2:3",
      "::1::2:g",
      "1:2:3:4:5:6:7:8:9",
      "1..2.3",
      "1::2::3",
      "::1z",
      "::ffff:1.2.3.4x",
      "localhost"
    ]) {
      assert.strictEqual(addressBytes(bad), undefined, bad)
    }
  })
})

describe("offset message ids", () => {
  it("read what a real broker answered", () => {
    const answers = ["send-v2-response", "send-v2-response-timer", "query-message-uniqkey-request"].flatMap((name) => [
      ...golden(name).matchAll(/"msgId": "([0-9A-F]{32})"/g)
    ])
    assert.isAtLeast(answers.length, 1)
    for (const [, id = ""] of answers) {
      const read = MessageId.decodeOffsetMessageId(id)
      assert.isDefined(read)
      assert.match(read?.address ?? "", /^\d+\.\d+\.\d+\.\d+:\d+$/)
      assert.strictEqual(MessageId.encodeOffsetMessageId(read?.address ?? "", read?.offset ?? 0n), id)
    }
  })

  it("refuse everything that is none", () => {
    for (const bad of ["", "x", "0".repeat(31), "0".repeat(33), "0".repeat(55), "g".repeat(32), ` ${"0".repeat(31)}`]) {
      assert.strictEqual(MessageId.decodeOffsetMessageId(bad), undefined, bad)
    }
    assert.strictEqual(MessageId.encodeOffsetMessageId("broker.example:10911", 1), "0000000000002A9F0000000000000001")
  })

  it.effect.prop(
    "come back from a round trip, IPv4 and IPv6",
    {
      bytes: Arbitrary.array(int(0, 255), { minLength: 16, maxLength: 16 }),
      port: int(0, 65_535),
      high: int(0, 0x7fff_ffff),
      low: int(0, 0xffff_ffff),
      six: Arbitrary.schema(Schema.Boolean)
    },
    ({ bytes, high, low, port, six }) =>
      Effect.sync(() => {
        const offset = (BigInt(high) << 32n) | BigInt(low)
        const ip = six
          ? `[${Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16)).join(":")}]`
          : bytes.slice(0, 4).join(".")
        const id = MessageId.encodeOffsetMessageId(`${ip}:${port}`, offset)
        assert.strictEqual(id.length, six ? 56 : 32)
        const read = MessageId.decodeOffsetMessageId(id)
        assert.deepStrictEqual(parseHost(read?.address ?? ""), parseHost(`${ip}:${port}`))
        assert.strictEqual(read?.offset, offset)
      }),
    runs(300)
  )
})
