import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as FaultEngine from "../../../src/embedded/server/FaultEngine.ts"
import * as FaultScript from "../../../src/embedded/server/FaultScript.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"

const request = (code: number, extFields: Record<string, string> = {}): RemotingCommand => ({
  code,
  language: "JAVA",
  version: 513,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields,
  body: new Uint8Array(0),
  serializeType: "JSON"
})

const brokerA = { name: "broker-a", kind: "broker", address: "127.0.0.1:10911" } as const
const brokerB = { name: "broker-b", kind: "broker", address: "127.0.0.1:10921" } as const
const namesrv = { name: "namesrv-0", kind: "nameServer", address: "127.0.0.1:9876" } as const

const engine = (script: FaultScript.FaultScript, draw: () => number = () => 0) =>
  FaultEngine.make({ script, draw, now: () => 7 })

const tags = (actions: ReadonlyArray<{ readonly _tag: string }>) => actions.map((action) => action._tag)

const hit = (match: FaultScript.FaultMatch, server: FaultEngine.FaultServer, cmd: RemotingCommand) =>
  engine([{ match, actions: [FaultScript.dropRequest] }]).onRequest(server, cmd, "client:1").length === 1

const pattern = (rule: Omit<FaultScript.FaultRule, "actions">) => {
  const faults = engine([{ ...rule, actions: [FaultScript.dropRequest] }])
  return [1, 2, 3, 4, 5, 6].map(() => faults.onRequest(brokerA, request(310), "c:1").length).join("")
}

describe("FaultScript", () => {
  it("matches by code, server, address and topic", () => {
    assert.isTrue(hit({}, brokerA, request(310)))
    assert.isTrue(hit({ code: [10, 310] }, brokerA, request(310)))
    assert.isFalse(hit({ code: 10 }, brokerA, request(310)))
    assert.isFalse(hit({ broker: "broker-a" }, brokerB, request(310)))
    assert.isTrue(hit({ broker: "namesrv" }, namesrv, request(105)))
    assert.isFalse(hit({ broker: "namesrv" }, brokerA, request(105)))
    assert.isTrue(hit({ address: brokerB.address }, brokerB, request(34)))
    assert.isTrue(hit({ topic: "t" }, brokerA, request(310, { b: "t" })))
    assert.isTrue(hit({ topic: "t" }, brokerA, request(11, { topic: "t" })))
    assert.isFalse(hit({ topic: "t" }, brokerA, request(34)))
  })

  it("counts calls: nth, every, after, times", () => {
    assert.strictEqual(pattern({}), "111111")
    assert.strictEqual(pattern({ match: { nth: 3 } }), "001000")
    assert.strictEqual(pattern({ match: { every: 2 } }), "010101")
    assert.strictEqual(pattern({ match: { after: 4 } }), "000011")
    assert.strictEqual(pattern({ times: 2 }), "110000")
    assert.strictEqual(pattern({ match: { every: 2 }, times: 1 }), "010000")
  })

  it("joins the actions of all rules that fire and logs each", () => {
    const faults = engine([
      { name: "slow", actions: [FaultScript.delay(5)] },
      { match: { nth: 2 }, actions: [FaultScript.dropResponse, FaultScript.cut("after")] }
    ])
    assert.deepStrictEqual(tags(faults.onRequest(brokerA, request(310), "c:1")), ["Delay"])
    assert.deepStrictEqual(tags(faults.onRequest(brokerA, request(310), "c:1")), ["Delay", "DropResponse", "Cut"])
    assert.deepStrictEqual(
      faults
        .fired()
        .map(({ actions, call, code, rule, server, time }) => ({ actions, call, code, rule, server, time })),
      [
        { actions: ["Delay"], call: 1, code: 310, rule: "slow", server: "broker-a", time: 7 },
        { actions: ["Delay"], call: 2, code: 310, rule: "slow", server: "broker-a", time: 7 },
        { actions: ["DropResponse", "Cut"], call: 2, code: 310, rule: "rule-1", server: "broker-a", time: 7 }
      ]
    )
  })

  it("is changed while it runs", () => {
    const faults = engine([{ name: "a", actions: [FaultScript.dropRequest] }])
    faults.add({ name: "b", actions: [FaultScript.answer(2, "busy")] })
    assert.deepStrictEqual(tags(faults.onRequest(brokerA, request(310), "c:1")), ["DropRequest", "Answer"])
    faults.remove("a")
    assert.deepStrictEqual(faults.onRequest(brokerA, request(310), "c:1"), [
      { _tag: "Answer", response: { code: 2, remark: "busy" } }
    ])
    faults.clear()
    assert.deepStrictEqual(faults.onRequest(brokerA, request(310), "c:1"), [])
    assert.strictEqual(faults.fired().length, 3)
  })

  it("refuses and ignores connections, and leaves requests alone with such a rule", () => {
    const faults = engine([
      { match: { broker: "broker-a" }, actions: [FaultScript.refuseConnection], times: 1 },
      { match: { broker: "broker-b" }, actions: [FaultScript.ignoreConnection] }
    ])
    assert.strictEqual(faults.onAccept(brokerA, "c:1"), "refuse")
    assert.strictEqual(faults.onAccept(brokerA, "c:1"), "accept")
    assert.strictEqual(faults.onAccept(brokerB, "c:1"), "ignore")
    assert.strictEqual(faults.onAccept(namesrv, "c:1"), "accept")
    assert.deepStrictEqual(faults.onRequest(brokerB, request(310), "c:1"), [])
    assert.isUndefined(faults.fired()[0]?.code)
  })

  it.effect("a seed repeats what a probability decides", () =>
    Effect.gen(function* () {
      const run = Random.withSeed(
        Effect.gen(function* () {
          const random = yield* Random.Random
          const faults = engine([{ match: { probability: 0.3 }, actions: [FaultScript.dropRequest] }], () =>
            random.nextDoubleUnsafe()
          )
          return Array.from({ length: 200 }, () => faults.onRequest(brokerA, request(310), "c:1").length)
        }),
        "seed"
      )
      const [one, two] = [yield* run, yield* run]
      assert.deepStrictEqual(one, two)
      const fired = one.filter((count) => count > 0).length
      assert.isAbove(fired, 30)
      assert.isBelow(fired, 90)
    })
  )
})
