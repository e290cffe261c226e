import { assert, describe, it } from "@effect/vitest"
import { getEventListeners } from "node:events"
import { listen } from "../../src/promise/Abort.ts"

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length

describe("listen", () => {
  it("has one listener on a signal, however many calls are under way, and none when they have ended", () => {
    const { signal } = new AbortController()
    const left = Array.from({ length: 100 }, () => listen(signal, () => {}))
    assert.strictEqual(listeners(signal), 1)
    for (const leave of left.slice(1)) leave()
    assert.strictEqual(listeners(signal), 1)
    left[0]?.()
    left[0]?.()
    assert.strictEqual(listeners(signal), 0)
  })

  it("tells all that are under way, once, and nobody who has left", () => {
    const controller = new AbortController()
    const told: Array<string> = []
    listen(controller.signal, () => told.push("a"))
    const leave = listen(controller.signal, () => told.push("b"))
    listen(controller.signal, () => told.push("c"))
    leave()
    controller.abort()
    controller.signal.dispatchEvent(new Event("abort"))
    assert.deepStrictEqual(told, ["a", "c"])
    assert.strictEqual(listeners(controller.signal), 0)
  })

  it("begins anew on a signal that nobody listens to any more, and keeps signals apart", () => {
    const controller = new AbortController()
    const other = new AbortController()
    const told: Array<string> = []
    listen(controller.signal, () => told.push("first"))()
    listen(controller.signal, () => told.push("second"))
    listen(other.signal, () => told.push("other"))
    controller.abort()
    assert.deepStrictEqual(told, ["second"])
    assert.strictEqual(listeners(other.signal), 1)
  })

  it("who leaves while all are told leaves nothing behind", () => {
    const controller = new AbortController()
    const told: Array<string> = []
    const leaves: Array<() => void> = []
    const leaveAll = () => {
      for (const leave of leaves) leave()
    }
    for (const name of ["a", "b"]) {
      leaves.push(
        listen(controller.signal, () => {
          told.push(name)
          leaveAll()
        })
      )
    }
    controller.abort()
    assert.deepStrictEqual(told, ["a"])
    assert.strictEqual(listeners(controller.signal), 0)
  })
})
