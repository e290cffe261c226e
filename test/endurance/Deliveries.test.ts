import { assert, describe, it } from "@effect/vitest"
import { type Finish, makeDeliveries, type Setback } from "./Deliveries.ts"

const QUEUE = "orders@broker-a@0"

const finish = (offset: number, at: number, more: Partial<Finish> = {}): Finish => ({
  member: 1,
  queue: QUEUE,
  offset,
  n: offset,
  ok: true,
  at,
  ...more
})

const setback = (kind: Setback["kind"], offset: number, at: number, more: Partial<Setback> = {}): Setback => ({
  kind,
  offsets: new Map([[QUEUE, offset]]),
  begin: at,
  end: at,
  ...more
})

/** What comes of these finishes and setbacks, where the messages 0 to 2 were sent. */
const found = (finishes: ReadonlyArray<Finish>, ...setbacks: ReadonlyArray<Setback>) =>
  foundBy({}, finishes, ...setbacks)

const foundBy = (
  options: { readonly inOrder?: boolean },
  finishes: ReadonlyArray<Finish>,
  ...setbacks: ReadonlyArray<Setback>
) => {
  const deliveries = makeDeliveries({ capacity: 10, ...options })
  for (const one of finishes) deliveries.finish(one)
  for (const one of setbacks) deliveries.setback(one)
  return deliveries.findings([0, 1, 2])
}

const once = [finish(0, 10), finish(1, 11), finish(2, 12)]

describe("the ledger of what a group finished", () => {
  it("is content when each message is consumed once", () => {
    const { again, failed, finished, violationCount } = found(once)
    assert.deepStrictEqual([finished, failed, [...again], violationCount], [3, 0, [], 0])
  })

  it("misses what nobody consumed, also when a handler failed", () => {
    assert.match(found(once.slice(0, 2)).violations.join(), /message 2 was acknowledged and never consumed/)
    const { failed, violations } = found([...once.slice(0, 2), finish(2, 12, { ok: false })])
    assert.strictEqual(failed, 1)
    assert.match(violations.join(), /message 2 was acknowledged and never consumed/)
    assert.strictEqual(found([...once, finish(9, 13, { n: 12 })]).violationCount, 1, "nobody sent it")
  })

  it("counts a message that comes again from the retry topic as no second finish of a place", () => {
    const retried = found([
      finish(0, 10, { ok: false }),
      finish(0, 20, { queue: "%RETRY%cg@broker-a@0" }),
      ...once.slice(1)
    ])
    assert.deepStrictEqual([retried.violationCount, [...retried.again]], [0, []])
  })

  it("explains what a killed member had not written, and nothing else", () => {
    const twice = [...once, finish(1, 30, { member: 2 })]
    assert.match(found(twice).violations.join(), /offset 1 .* nothing explains that/)
    const killed = (offset: number, at: number, member: number) => found(twice, setback("kill", offset, at, { member }))
    assert.deepStrictEqual([...killed(1, 20, 1).again], [["kill", 1]])
    assert.strictEqual(killed(1, 20, 1).violationCount, 0)
    assert.strictEqual(killed(2, 20, 1).violationCount, 1, "it was written")
    assert.strictEqual(killed(1, 20, 3).violationCount, 1, "another one was killed")
    assert.strictEqual(killed(1, 10, 1).violationCount, 1, "it was killed before")
    assert.strictEqual(killed(1, 40, 1).violationCount, 1, "it came again before")
  })

  it("explains what a broker forgot, and what came again by a reset, which has to come again", () => {
    const twice = [...once, finish(1, 30), finish(2, 31)]
    assert.deepStrictEqual([...found(twice, setback("broker", 1, 20)).again], [["broker", 2]])
    assert.strictEqual(found(twice, setback("broker", 2, 20)).violationCount, 1)
    assert.deepStrictEqual([...found(twice, setback("reset", 1, 20)).again], [["reset", 2]])
    assert.strictEqual(found(twice, setback("reset", 1, 20)).violationCount, 0)
    assert.match(found(twice, setback("reset", 0, 20)).violations.join(), /offset 0 .* did not come again/)
  })

  it("counts copies: those of a sender, and what came back more often than it failed", () => {
    assert.deepStrictEqual([...found([...once, finish(5, 13, { n: 0 })]).again], [["sent twice", 1]])
    const back = [...once, finish(0, 20, { queue: "%RETRY%cg@broker-a@0" })]
    assert.match(found(back).violations.join(), /message 0 came back 1 times more than it failed/)
    const lost = found(back, setback("broker", 5, 15))
    assert.deepStrictEqual([lost.violationCount, [...lost.again]], [0, [["given back twice", 1]]])
  })

  it("sees a step back where a queue is consumed in order", () => {
    const swapped = [finish(0, 10), finish(2, 11), finish(1, 12)]
    assert.strictEqual(found(swapped).violationCount, 0)
    assert.match(foundBy({ inOrder: true }, swapped).violations.join(), /1 of .* was finished behind 2/)
    const reset = [...once, finish(1, 20), finish(2, 21)]
    assert.strictEqual(foundBy({ inOrder: true }, reset, setback("reset", 1, 15)).violationCount, 0)
  })

  it("explains what two members finish of a queue whose broker has just come back, and says for how long they did", () => {
    const twice = [...once, finish(1, 12, { member: 2 })]
    const { again, sharedMillis, violationCount } = found(twice, setback("broker", 1, 5))
    assert.deepStrictEqual(
      [[...again], sharedMillis, violationCount],
      [[["two owners after a broker's return", 1]], 6, 0]
    )
    assert.strictEqual(found([...once, finish(1, 12)], setback("broker", 1, 5)).violationCount, 1, "one member")
    assert.strictEqual(found(twice, setback("broker", 1, -20_000)).violationCount, 1, "long ago")
  })

  it("takes finishes that are told in another order", () => {
    const late = [finish(1, 30, { member: 2 }), ...once]
    assert.deepStrictEqual([...found(late, setback("kill", 1, 20, { member: 1 })).again], [["kill", 1]])
  })
})
