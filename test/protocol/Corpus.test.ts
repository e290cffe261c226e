import { assert, describe, it } from "@effect/vitest"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import type { FrameError } from "../../src/protocol/Frame.ts"
import { makeFrameDecoder, MAX_FRAME_LENGTH } from "../../src/protocol/Frame.ts"
import { type JsonValue, parse } from "../../src/protocol/LenientJson.ts"
import { decodeAll, decodeBatch } from "../../src/protocol/MessageCodec.ts"
import { decode as decodeProperties } from "../../src/protocol/MessageProperties.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import {
  type BodyInput,
  corpus,
  corpusBytes,
  corpusFrames,
  type ExpectedCommand,
  type ExpectedValue,
  type StreamInput
} from "./corpus.ts"

/** What comes of a stream that arrives in chunks of a size. */
const feed = (bytes: Uint8Array, size: number) => {
  const decoder = makeFrameDecoder()
  const commands: Array<RemotingCommand> = []
  let error: FrameError | undefined
  for (let at = 0; at < bytes.length && error === undefined; at += size) {
    const result = decoder.push(bytes.subarray(at, at + size))
    commands.push(...result.commands)
    error = result.error
  }
  return { commands, error: error?.kind, pending: decoder.pending }
}

const expectCommand = (command: RemotingCommand | undefined, expected: ExpectedCommand): void => {
  assert.isDefined(command)
  const { body, extFieldEntries, ...fields } = expected
  assert.deepInclude(command, fields)
  if (extFieldEntries !== undefined) {
    assert.deepStrictEqual(Object.entries(command.extFields ?? {}), extFieldEntries)
    assert.strictEqual(Object.getPrototypeOf(command.extFields), Object.prototype)
  }
  if (body !== undefined) assert.strictEqual(Buffer.from(command.body).toString("utf8"), body)
}

const expectStream = ({ expect, ...input }: StreamInput): void => {
  const bytes = corpusBytes({ ...input, expect })
  const whole = feed(bytes, bytes.length)
  assert.strictEqual(whole.error, expect.error)
  assert.strictEqual(whole.commands.length, expect.commands.length)
  for (const [i, command] of expect.commands.entries()) expectCommand(whole.commands[i], command)
  assert.strictEqual(whole.pending, expect.pending ?? 0)
  for (const size of [1, 2, 3, 5, 4_096]) assert.deepStrictEqual(feed(bytes, size), whole, `in chunks of ${size}`)
  // What lies behind the stream in memory is none of its business.
  const within = Buffer.alloc(bytes.length + 64, 0x7d)
  within.set(bytes, 32)
  assert.deepStrictEqual(feed(within.subarray(32, 32 + bytes.length), bytes.length), whole)
}

const valueOf = (expected: ExpectedValue): JsonValue =>
  typeof expected === "object" && expected !== null
    ? new Map(expected.map.map(([key, value]) => [key, valueOf(value)]))
    : expected

const depthOf = (value: JsonValue | DecodeError): number => {
  let depth = 0
  for (let at: unknown = value; Array.isArray(at); at = at[0]) depth++
  return depth
}

const expectBody = (input: BodyInput): void => {
  const bytes = corpusBytes(input)
  switch (input.kind) {
    case "json": {
      const { bigint, depth, error, value } = input.expect
      const found = parse(bytes)
      if (error === true) assert.instanceOf(found, DecodeError)
      else if (bigint !== undefined) assert.strictEqual(found, BigInt(bigint))
      else if (depth !== undefined) assert.strictEqual(depthOf(found), depth)
      else assert.deepStrictEqual(found, valueOf(value ?? null))
      return
    }
    case "messages": {
      const { error, messages } = decodeAll(bytes)
      assert.strictEqual(messages.length, input.expect.count)
      assert.strictEqual(error instanceof DecodeError, input.expect.error === true)
      return
    }
    case "batch":
      assert.instanceOf(decodeBatch(bytes), DecodeError)
      return
    case "properties":
      assert.deepStrictEqual(
        Object.entries(decodeProperties(Buffer.from(bytes).toString("utf8"))),
        input.expect.entries.map(([name, value]) => [name, value])
      )
  }
}

describe("inputs that a decoder may get wrong", () => {
  for (const input of corpus) {
    it(`${input.rows.join(", ")}: ${input.name}: ${input.what}`, () => {
      if (input.kind === "stream") expectStream(input)
      else expectBody(input)
    })
  }

  it("every kind of input and of error is among them", () => {
    assert.deepStrictEqual(
      new Set(corpus.map(({ kind }) => kind)),
      new Set(["stream", "json", "messages", "batch", "properties"])
    )
    const errors = corpus.flatMap(({ expect }) => ("error" in expect ? [expect.error] : []))
    assert.deepStrictEqual(new Set(errors), new Set(["length", "headerLength", "serializeType", "header", true]))
  })

  it("the fuzzer can begin with them", () => {
    const frames = corpusFrames()
    assert.isAbove(frames.length, corpus.length / 2)
    for (const { length } of frames) assert.isBelow(length, MAX_FRAME_LENGTH)
  })
})
