import { assert, describe, it } from "@effect/vitest"
import * as Address from "../../src/transport/Address.ts"

describe("Address", () => {
  it.each([
    ["localhost:9876", { host: "localhost", port: 9876 }],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["[::1]:10911", { host: "::1", port: 10_911 }],
    ["broker-a.internal:65535", { host: "broker-a.internal", port: 65_535 }]
  ])("reads %s and writes it back", (text, address) => {
    assert.deepStrictEqual(Address.parse(text), address)
    assert.strictEqual(Address.format(address), text)
  })

  it.each([
    ["::1:10911", { host: "::1", port: 10_911 }, "[::1]:10911"],
    ["::1:9876", { host: "::1", port: 9876 }, "[::1]:9876"],
    ["[0:0:0:0:0:0:0:1]:1", { host: "0:0:0:0:0:0:0:1", port: 1 }, "[::1]:1"],
    ["2001:DB8:0:0:1::2:65535", { host: "2001:DB8:0:0:1::2", port: 65_535 }, "[2001:db8::1:0:0:2]:65535"],
    ["fe80::1%eth0:1", { host: "fe80::1%eth0", port: 1 }, "[fe80::1%eth0]:1"],
    ["[::ffff:10.0.0.1]:1", { host: "::ffff:10.0.0.1", port: 1 }, "10.0.0.1:1"],
    ["::ffff:a9fe:a9fe:80", { host: "::ffff:a9fe:a9fe", port: 80 }, "169.254.169.254:80"],
    [":::1", { host: "::", port: 1 }, "[::]:1"],
    ["Broker-A:1", { host: "Broker-A", port: 1 }, "Broker-A:1"]
  ])("reads %s: the host ends at the last colon; all texts of an address have one form", (text, address, form) => {
    const parsed = Address.parse(text)
    assert.deepStrictEqual(parsed, address)
    if (parsed instanceof Address.AddressError) throw parsed
    assert.strictEqual(Address.canonical(parsed), form)
    const again = Address.parse(form)
    assert.strictEqual(again instanceof Address.AddressError ? again.message : Address.canonical(again), form)
  })

  it.each([
    ["", "it is empty"],
    ["  ", "it is empty"],
    ["localhost", "the port is missing"],
    ["::1", "the port is missing"],
    ["2001:db8::", "the port is missing"],
    [":9876", "the host is missing"],
    ["localhost:", "the port is missing"],
    ["localhost:x", "the port is no number"],
    ["localhost:65536", "the port is no number"],
    ["localhost:-1", "the port is no number"],
    ["localhost:1.5", "the port is no number"],
    ["1:2:3", "is no IPv6 address"],
    ["[localhost]:1", "IPv6 address stands in brackets"],
    ["[127.0.0.1]:1", "IPv6 address stands in brackets"],
    ["a b:1", "a space"],
    ["127.0.0.1 :10911", "a space"],
    ["127.0.0.1:10911 ", "the port is no number"],
    ["/127.0.0.1:10911", "begins with a slash"],
    ["127.0.0.1：10911", "full-width"],
    ["a:1,b:2", "comma or semicolon"],
    ["a\u001b[2J:1", "control characters"],
    ["a\u202e:1", "control characters"],
    ["[::1:1", "brackets"],
    ["http://host:1", "a slash"],
    [`${"a".repeat(251)}:1234`, "more than 255 characters"]
  ])("refuses %j, and says why", (text, detail) => {
    const result = Address.parse(text)
    assert.instanceOf(result, Address.AddressError)
    assert.include(result.detail, detail)
    assert.include(result.message, "host:port")
    assert.isBelow(result.message.length, 500)
    assert.notMatch(result.message, /[\p{Cc}\p{Cf}]/u)
  })

  it("takes no longer for a text of a megabyte than it has to", () => {
    const long = ":".repeat(1 << 20)
    const result = Address.parse(long)
    assert.instanceOf(result, Address.AddressError)
    assert.isBelow(result.message.length, 500)
  })
})
