import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AddressServerUrl from "../../src/client/AddressServerUrl.ts"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { failureOf, makeProducer, onMemory, timed } from "../support/rig.ts"

const urlOf = (options: ClientConfig.ClientOptions) => AddressServerUrl.url(ClientConfig.resolve(options).config)
const problemsOf = (namesrvDomain: string) => ClientConfig.resolve({ namesrvDomain }).problems

describe("the URL of the address server", () => {
  it("is built as RocketMQ builds it", () => {
    assert.strictEqual(urlOf({}), undefined)
    assert.strictEqual(urlOf({ namesrvDomain: " " }), undefined)
    assert.strictEqual(urlOf({ namesrvDomain: "ns.example" }), "http://ns.example:8080/rocketmq/nsaddr")
    assert.strictEqual(urlOf({ namesrvDomain: "ns.example:80" }), "http://ns.example:80/rocketmq/nsaddr")
    assert.strictEqual(
      urlOf({ namesrvDomain: "d", namesrvDomainSubgroup: "group", unitName: "u1" }),
      "http://d:8080/rocketmq/group-u1?nofix=1"
    )
    assert.strictEqual(urlOf({ namesrvDomain: "[::1]" }), "http://[::1]:8080/rocketmq/nsaddr")
    assert.strictEqual(urlOf({ namesrvDomain: "[::1]:80" }), "http://[::1]:80/rocketmq/nsaddr")
  })

  it("A11: is the whole one where one is given", () => {
    const whole = "https://ns.example/rocketmq/list?of=me"
    assert.strictEqual(urlOf({ namesrvDomain: ` ${whole} `, unitName: "u1" }), whole)
    assert.strictEqual(urlOf({ namesrvDomain: "http://ns.example:80" }), "http://ns.example/rocketmq/nsaddr")
    assert.strictEqual(
      urlOf({ namesrvDomain: "https://ns.example:8443/", unitName: "u1" }),
      "https://ns.example:8443/rocketmq/nsaddr-u1?nofix=1"
    )
  })

  it("A11: of everything that is accepted can be asked", () => {
    for (const domain of ["ns.example", "ns.example:80", "[::1]", "http://a", "HTTPS://a/b", "https://[::1]:1/x"]) {
      assert.deepStrictEqual(problemsOf(domain), [], domain)
      assert.isTrue(URL.canParse(urlOf({ namesrvDomain: domain }) ?? ""), domain)
    }
    assert.deepStrictEqual(problemsOf(" "), [])
  })

  it.each([
    ["http://http://ns.example", "two in it"],
    ["ftp://ns.example", "http://"],
    ["://ns.example", "http://"],
    ["http://", "must be a URL"],
    ["ns.example/rocketmq/nsaddr", "http://"],
    ["a b", "a space"],
    ["a,b", "comma"],
    ["ns.example:x", "port"],
    ["http://user:secret@ns.example", "must not hold a user or password"],
    ["ns\u001b[2J.example", "must be a host"]
  ])("A11: %j is refused at the start", (domain, words) => {
    const problems = problemsOf(domain)
    assert.deepStrictEqual(
      problems.map(({ path }) => path),
      ["namesrvDomain"]
    )
    assert.include(problems[0]?.problem, words)
    assert.notInclude(problems[0]?.problem, "secret")
    assert.notMatch(problems[0]?.problem ?? "", /\p{Cc}/u)
  })

  it.effect("A11: what is wrong with it fails the start, and nobody is asked", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({ namesrvAddr: undefined, namesrvDomain: "http://http://ns.example" })
      const { reason } = failureOf((yield* timed(producer.start)).exit)
      if (reason._tag !== "InvalidConfig") throw new Error(reason.message)
      assert.deepStrictEqual(
        reason.problems.map(({ path }) => path),
        ["namesrvDomain"]
      )
    }).pipe(onMemory())
  )
})
