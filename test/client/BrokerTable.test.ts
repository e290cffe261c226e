import { assert, describe, it } from "@effect/vitest"
import { AddressRefused } from "../../src/client/AddressRefused.ts"
import * as BrokerTable from "../../src/client/BrokerTable.ts"
import { bounded } from "../support/bounded.ts"

const none = new Map<number, AddressRefused>()

describe("BrokerTable", () => {
  it("knows the broker of an address, through all changes", () => {
    const table = BrokerTable.make()
    table.set("a", new Map([[0, "a:1"], [1, "a:2"]]), none) // prettier-ignore
    table.set("b", new Map([[0, "b:1"]]), none)
    assert.deepStrictEqual(table.brokerOf("a:2"), { brokerName: "a", brokerId: 1 })
    table.set("a", new Map([[0, "b:1"]]), none)
    assert.isUndefined(table.brokerOf("a:1"))
    assert.deepStrictEqual(table.brokerOf("b:1"), { brokerName: "a", brokerId: 0 }, "whoever was named first")
    assert.deepStrictEqual([...table.retain(new Set(["b"]))], ["b:1"])
    assert.deepStrictEqual(table.brokerOf("b:1"), { brokerName: "b", brokerId: 0 })
    assert.deepStrictEqual([...table.retain(new Set())], [])
    assert.isUndefined(table.brokerOf("b:1"))
    assert.strictEqual(table.addresses.size, 0)
  })

  it("finds where a queue is read from, as Java does", () => {
    const table = BrokerTable.make()
    table.set("all", new Map([[0, "m:1"], [1, "s:1"], [3, "s:3"]]), none) // prettier-ignore
    table.set("slaves", new Map([[2, "s:2"]]), none)
    table.set("nobody", new Map(), none)
    const find = table.findBrokerAddressInSubscribe
    assert.deepStrictEqual(find("all", 0, true), { address: "m:1", slave: false })
    assert.deepStrictEqual(find("all", 1, true), { address: "s:1", slave: true })
    assert.deepStrictEqual(find("all", 2, true), { address: "s:3", slave: true }, "the next id of a slave")
    assert.isUndefined(find("all", 7, true))
    assert.deepStrictEqual(find("all", 7, false), { address: "m:1", slave: false }, "any")
    assert.isUndefined(find("slaves", 0, true), "a master has no next one")
    assert.deepStrictEqual(find("slaves", 0, false), { address: "s:2", slave: true })
    assert.isUndefined(find("nobody", 0, false))
    assert.isUndefined(find("unknown", 0, false))
    assert.strictEqual(table.findBrokerAddressInPublish("all"), "m:1")
    assert.isUndefined(table.findBrokerAddressInPublish("slaves"))
  })

  it("forgets that an address was refused when the route has another one", () => {
    const table = BrokerTable.make()
    const refused = new AddressRefused({ address: "0.0.0.0:1", problem: "unspecified", detail: "" })
    table.set("a", new Map(), new Map([[0, refused]]))
    assert.strictEqual(table.refusedOf("a")?.get(0), refused)
    table.set("a", new Map([[0, "a:1"]]), none)
    assert.isUndefined(table.refusedOf("a"))
  })

  it("answers 100,000 questions about 20,000 brokers without a search", () => {
    const table = BrokerTable.make()
    bounded({ millis: 2_000, megabytes: 256 }, () => {
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 20_000; i++) table.set(`b-${i}`, new Map([[0, `h-${i}:${round === 0 ? 1 : 2}`]]), none)
        for (let i = 0; i < 20_000; i++) {
          assert.strictEqual(table.brokerOf(`h-${i}:${round === 0 ? 1 : 2}`)?.brokerName, `b-${i}`)
        }
      }
    })
  })
})
