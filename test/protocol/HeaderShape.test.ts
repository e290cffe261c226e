import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { FrameError } from "../../src/protocol/FrameError.ts"
import { makeShapeReader } from "../../src/protocol/HeaderShape.ts"
import { decodeJsonHeader } from "../../src/protocol/JsonHeader.ts"
import type { JsonHeaderReader } from "../../src/protocol/JsonHeader.ts"
import { emptyBody } from "../../src/protocol/RemotingCommand.ts"
import { fieldName, record, text } from "./arbitraries.ts"

const stored = (queueOffset: string, opaque: number | string, remark?: string) =>
  `{"code":0,"extFields":{"queueId":"3","TRACE_ON":"true","MSG_REGION":"DefaultRegion","msgId":"7F00000100002A9F0000000000001000","queueOffset":"${queueOffset}"},"flag":1,"language":"JAVA","opaque":${opaque},${remark === undefined ? "" : `"remark":"${remark}",`}"serializeTypeCurrentRPC":"JSON","version":513}`

const bare = (opaque: number) => `{"code":1,"flag":1,"language":"JAVA","opaque":${opaque},"version":1}`

/** The header between other bytes, as it lies in a chunk. */
const read = (reader: JsonHeaderReader, header: string | Uint8Array) => {
  const bytes = typeof header === "string" ? Buffer.from(header) : header
  const chunk = Buffer.concat([Buffer.from('"}'), bytes, Buffer.from('0"}')])
  return reader(chunk, 2, 2 + bytes.length, emptyBody)
}

const general = (header: string | Uint8Array) => decodeJsonHeader(Buffer.from(header).toString("utf8"), emptyBody)

const trained = (header: string): JsonHeaderReader => {
  const reader = makeShapeReader()
  for (let i = 0; i < 8; i++) read(reader, header)
  return reader
}

const same = (reader: JsonHeaderReader, header: string | Uint8Array) => {
  const [actual, expected] = [read(reader, header), general(header)]
  if (expected instanceof FrameError) {
    assert.instanceOf(actual, FrameError)
    assert.deepStrictEqual([actual.kind, actual.detail], [expected.kind, expected.detail])
  } else {
    assert.deepStrictEqual(actual, expected)
    if ("extFields" in actual) {
      assert.deepStrictEqual(Object.keys(actual.extFields ?? {}), Object.keys(expected.extFields ?? {}))
    }
  }
}

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const place = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })))
const change = Arbitrary.schema(Schema.Literals(["replace", "insert", "remove", "cut"]))

const changed = (header: string, how: string, at: number, value: number): Uint8Array => {
  const bytes = [...Buffer.from(header)]
  const from = at % bytes.length
  if (how === "replace") bytes.splice(from, 1, value)
  else if (how === "insert") bytes.splice(from, 0, value)
  else if (how === "remove") bytes.splice(from, 1)
  else bytes.length = from
  return Uint8Array.from(bytes)
}

describe("a header of the usual shape", () => {
  it("gives its own values", () => {
    const reader = trained(stored("1", 1))
    same(reader, stored("12345678901234567890", 999_999_999))
    same(reader, stored("", 0))
    for (const opaque of ["00", "01", "-1", "1.0", "1e2", "", "2147483647", "2147483648", "9999999999", " 1"]) {
      same(reader, stored("7", opaque))
    }
    for (const value of ["\\u0041", "é", "\\", '"', "\u0001", "\u007f", "\n", 'x","y":"z'])
      same(reader, stored(value, 1))
  })

  it("has its remark", () => {
    const reader = trained(stored("1", 1, "slow, 12"))
    same(reader, stored("2", 2, "slow, 12"))
    same(reader, stored("2", 2, "slow, 13"))
    same(reader, stored("2", 2))
  })

  it.prop("whatever byte is another", [change, place, byte], ([how, at, value]) => {
    const header = stored("12", 4711)
    same(trained(header), changed(header, how, at, value))
  })

  it.prop(
    "whatever fields it has",
    [Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 5 }), change, place, byte],
    ([entries, how, at, value]) => {
      const rest = { flag: 1, language: "JAVA", opaque: 5, serializeTypeCurrentRPC: "JSON", version: 1 }
      const header = JSON.stringify({ code: 0, extFields: record(entries), ...rest })
      const reader = trained(header)
      same(reader, header)
      same(reader, header.replace('"opaque":5', '"opaque":77'))
      same(reader, changed(header, how, at, value))
    }
  )

  it("may be another one later", () => {
    const reader = makeShapeReader()
    for (let i = 0; i < 5_000; i++) same(reader, i % 3 === 0 ? bare(i) : stored(String(i), i, i > 2_500 ? "x" : "y"))
  })
})
