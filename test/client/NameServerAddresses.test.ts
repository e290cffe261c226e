import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { namespaceOf, parseNamesrvAddr } from "../../src/client/NameServerAddresses.ts"
import { runs } from "../support/rig.ts"

const addressesOf = (input: string | ReadonlyArray<string>) => parseNamesrvAddr(input).addresses

const saysSo = (text: string): void => {
  const { addresses, problems } = parseNamesrvAddr(text)
  assert.deepStrictEqual(addresses, [])
  assert.deepStrictEqual(
    problems.map(({ path }) => path),
    ["namesrvAddr[0]"]
  )
  const [{ problem } = { problem: "" }] = problems
  assert.include(problem, 'separated by ";"')
  assert.notInclude(problem, "IPv6")
  assert.isBelow(problem.length, 500)
}

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
    const { addresses: good, problems } = parseNamesrvAddr("a:1;nope;b:99999;[a]:1;c:2")
    assert.deepStrictEqual(good, ["a:1", "c:2"])
    assert.deepStrictEqual(
      problems.map((p) => p.path),
      ["namesrvAddr[1]", "namesrvAddr[2]", "namesrvAddr[3]"]
    )
    assert.include(problems[0]?.problem ?? "", "port is missing")
  })

  it("takes IPv6 with and without brackets, and each address once", () => {
    assert.deepStrictEqual(
      addressesOf("::1:9876;[::1]:9876;[0:0:0:0:0:0:0:1]:9876;::ffff:10.0.0.1:9876;10.0.0.1:9876"),
      ["[::1]:9876", "10.0.0.1:9876"]
    )
  })

  it.each([
    "a:9876,b:9876",
    "10.0.0.1:9876, 10.0.0.2:9876",
    "a:9876，b:9876",
    "a:9876；b:9876",
    "a:9876、b:9876",
    "a:9876 b:9876",
    "http://a:9876,http://b:9876"
  ])("A10: says of %j that ; is what separates", saysSo)

  it("A10: says so of a hundred thousand addresses", () => saysSo(`${"a:9876,".repeat(100_000)}b:9876`))

  it.each(["a:9876：", "a：9876", "a,b", "a b:1"])("takes %j for no list", (text) => {
    const { problems } = parseNamesrvAddr(text)
    assert.lengthOf(problems, 1)
    assert.notInclude(problems[0]?.problem, "separated by")
  })

  it("takes a list whose entries are lists", () => {
    assert.deepStrictEqual(addressesOf(["a:1;b:2", "c:3"]), ["a:1", "b:2", "c:3"])
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

describe("the namespace of an instance's endpoint", () => {
  it.each([
    ["http://MQ_INST_1234_BX.ons.example:8080", "MQ_INST_1234_BX"],
    ["https://MQ_INST_1234_BX.ons.example:8080/", "MQ_INST_1234_BX"],
    ["MQ_INST_1234_BX.ons.example:8080", "MQ_INST_1234_BX"],
    [" http://MQ_INST_1_x_y.a.b:1 ; ", "MQ_INST_1_x_y"],
    ["http://MQ_INST_1_x.a:1;http://MQ_INST_1_x.b:1", "MQ_INST_1_x"],
    ["http://MQ_INST_1_x.a:1;http://MQ_INST_2_x.b:1", undefined],
    ["http://MQ_INST_1_x.a:1;b:1", undefined],
    ["http://MQ_INST_1.ons.example:8080", undefined],
    ["http://ons.example:8080/MQ_INST_1_x.a:1", undefined],
    ["http://other.MQ_INST_1_x.a:1", undefined],
    ["127.0.0.1:9876", undefined],
    ["", undefined]
  ])("A9: of %j is %j", (text, namespace) => {
    assert.strictEqual(namespaceOf(text), namespace)
    assert.strictEqual(namespaceOf(text.split(";")), namespace)
  })
})
