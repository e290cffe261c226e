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
    "",
    "localhost",
    ":9876",
    "localhost:",
    "localhost:x",
    "localhost:65536",
    "localhost:-1",
    "localhost:1.5",
    "::1:9876",
    "[localhost]:1",
    "a b:1",
    "[::1:1",
    "http://host:1"
  ])("refuses %j", (text) => {
    const result = Address.parse(text)
    assert.instanceOf(result, Address.AddressError)
    assert.include(result.message, "host:port")
  })
})
