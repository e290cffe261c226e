import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { parseNamesrvAddr } from "../../src/client/NameServerAddresses.ts"
import { runs } from "../support/rig.ts"

const addressesOf = (input: string | ReadonlyArray<string>) => parseNamesrvAddr(input).addresses

describe("parseNamesrvAddr", () => {
  it("splits a list, skips blanks and doubles, keeps the order", () => {
    assert.deepStrictEqual(addressesOf("b:9876; a:9876 ;;b:9876;"), ["b:9876", "a:9876"])
    assert.deepStrictEqual(addressesOf(["[::1]:9876", " ns.example:1 "]), ["[::1]:9876", "ns.example:1"])
    assert.deepStrictEqual(addressesOf(""), [])
  })

  it("takes the address out of a URL, as Java does", () => {
    assert.deepStrictEqual(addressesOf("http://MQ_INST_1_BX.ons.example:8080"), ["MQ_INST_1_BX.ons.example:8080"])
    assert.deepStrictEqual(addressesOf("https://ns.example:9876/"), ["ns.example:9876"])
  })

  it("reports every bad item with its place", () => {
    const { addresses: good, problems } = parseNamesrvAddr("a:1;nope;b:99999;::1:9876;c:2")
    assert.deepStrictEqual(good, ["a:1", "c:2"])
    assert.deepStrictEqual(
      problems.map((p) => p.path),
      ["namesrvAddr[1]", "namesrvAddr[2]", "namesrvAddr[3]"]
    )
    assert.include(problems[0]?.problem ?? "", "port is missing")
  })

  it.effect.prop(
    "never throws, and everything it gives can be dialled",
    { text: Arbitrary.schema(Schema.String) },
    ({ text }) =>
      Effect.sync(() => {
        for (const address of addressesOf(text)) assert.match(address, /^(\[[^\]]+\]|[^\s:[\]/]+):\d{1,5}$/)
      }),
    runs(300)
  )
})
