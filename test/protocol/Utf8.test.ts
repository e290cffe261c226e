import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeFrame, encode } from "../../src/protocol/Frame.ts"
import { emptyBody } from "../../src/protocol/RemotingCommand.ts"
import * as Utf8 from "../../src/protocol/Utf8.ts"
import * as Arbitraries from "./arbitraries.ts"

const bytesOf = (hex: string) => Buffer.from(hex, "hex")

describe("bytes that are no UTF-8", () => {
  it("are read as Java reads them", () => {
    // Observed: what brokers of 5.5.0 and 4.9.7 keep of such bytes in a header.
    const cases: Readonly<Record<string, string>> = {
      c3: "\ufffd",
      eda080: "\ufffd",
      eda080edb080: "\ufffd\ufffd",
      "61eda08062": "a\ufffdb",
      f09f98: "\ufffd",
      c080: "\ufffd\ufffd",
      ff: "\ufffd",
      "80": "\ufffd",
      f8888080: "\ufffd\ufffd\ufffd\ufffd",
      e28262: "\ufffdb",
      ffffffeda080: "\ufffd\ufffd\ufffd\ufffd",
      efbfbdefbfbdefbfbd: "\ufffd\ufffd\ufffd",
      ed9fbf: "\ud7ff"
    }
    for (const [hex, text] of Object.entries(cases)) {
      assert.strictEqual(Utf8.read(bytesOf(hex), 0, hex.length / 2), text, hex)
    }
    assert.strictEqual(Utf8.read(bytesOf("ffeda080ff"), 1, 4), "\ufffd")
    assert.strictEqual(Utf8.read(bytesOf("ffeda080ff"), 1, 3), "\ufffd\ufffd")
  })

  it("stand for the same in a header", () => {
    const frame = encode({
      code: 10,
      language: "OTHER",
      version: 513,
      opaque: 1,
      flag: 0,
      remark: "@@@",
      extFields: {},
      body: emptyBody,
      serializeType: "JSON"
    })
    const at = Buffer.from(frame).indexOf("@@@")
    frame.set([0xed, 0xa0, 0x80], at)
    assert.deepInclude(decodeFrame(frame.subarray(4)), { remark: "\ufffd" })
  })

  it.effect.prop("what is UTF-8 is read as it is", { text: Arbitraries.text }, ({ text }) =>
    Effect.sync(() => {
      const bytes = Buffer.from(text)
      assert.strictEqual(Utf8.read(bytes, 0, bytes.length), text)
    })
  )
})
