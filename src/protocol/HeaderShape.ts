import type { ExtFields } from "./ExtFields.ts"
import { FrameError } from "./FrameError.ts"
import { decodeJsonHeader, type JsonHeaderReader } from "./JsonHeader.ts"
import type { RemotingCommand } from "./RemotingCommand.ts"
import * as Utf8 from "./Utf8.ts"

/**
 * JSON headers that look alike. On a connection under load nearly every header differs from the one before it only in its
 * number and in the values of `extFields`:
 *
 * ```text
 * {"code":0,"extFields":{"queueId":" _ ","msgId":" _ "},"flag":1,"language":"JAVA","opaque": _ ,"version":513}
 * ```
 *
 * The bytes between are compared with those of an earlier header, and the values are cut out. What differs in any other
 * byte, and values that are not plain ASCII without escapes, go the general way (`decodeJsonHeader`), so that the
 * result is always what that would give.
 */

/** Bytes to compare with, as words and the rest: comparing four at once takes a third of the time. */
interface Piece {
  readonly words: Int32Array
  readonly rest: Uint8Array
  readonly length: number
}

/** What the headers of one shape have in common. */
interface Shape {
  /** What stands before each value, and behind the last one up to the number. */
  readonly pieces: ReadonlyArray<Piece>
  readonly end: Piece
  readonly names: ReadonlyArray<string>
  readonly example: RemotingCommand
  readonly extFields: ExtFields
}

const QUOTE = 34
const BACKSLASH = 92
const ZERO = 48
/** The most values that a header of a known shape has. */
const MAX_VALUES = 64
/** So many digits are an int, whatever they are. */
const INT_DIGITS = 9

const pieceOf = (text: string): Piece => {
  const bytes = Buffer.from(text, "latin1")
  const words = new Int32Array(bytes.length >>> 2)
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(i * 4)
  return { words, rest: bytes.subarray(words.length * 4), length: bytes.length }
}

const isAt = ({ rest, words }: Piece, view: DataView, from: number): boolean => {
  let at = from
  for (let i = 0; i < words.length; i++) {
    if (view.getInt32(at, true) !== words[i]) return false
    at += 4
  }
  for (let i = 0; i < rest.length; i++) if (view.getUint8(at++) !== rest[i]) return false
  return true
}

const plainAscii = /^[ -[\]-~]*$/

/** The shape of a header that was read; undefined when it is not written as Java writes it, or has no plain values. */
const shapeOf = (text: string, command: RemotingCommand): Shape | undefined => {
  const { code, extFields, flag, language, opaque, remark, version } = command
  const names = Object.keys(extFields ?? {})
  const serializeTypeCurrentRPC = "JSON"
  const asJavaDoes = { code, extFields, flag, language, opaque, remark, serializeTypeCurrentRPC, version }
  if (extFields === undefined || names.length === 0 || names.length > MAX_VALUES) return undefined
  if (names.includes("__proto__") || !plainAscii.test(text) || text !== JSON.stringify(asJavaDoes)) return undefined
  const afterLast = `"},"flag":${flag},"language":"${language}","opaque":`
  return {
    pieces: [
      ...names.map((name, index) => pieceOf(`${index === 0 ? `{"code":${code},"extFields":{` : '",'}"${name}":"`)),
      pieceOf(afterLast)
    ],
    end: pieceOf(text.slice(text.lastIndexOf(`${afterLast}${opaque}`) + `${afterLast}${opaque}`.length)),
    names,
    example: command,
    extFields
  }
}

// Where the values of the header that is being read begin and end.
const begins = new Int32Array(MAX_VALUES)
const ends = new Int32Array(MAX_VALUES)

/** Reads a header of the shape; undefined when it has another one. */
const readAs = (
  shape: Shape,
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  body: Uint8Array
): RemotingCommand | undefined => {
  const { example, names, pieces } = shape
  let at = start
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]
    if (piece === undefined || at + piece.length >= end || !isAt(piece, view, at)) return undefined
    at += piece.length
    if (i === names.length) break
    begins[i] = at
    for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[at]) {
      if (byte === undefined || byte < 32 || byte > 126 || byte === BACKSLASH || at >= end) return undefined
      at++
    }
    ends[i] = at
  }
  const digits = at
  let opaque = 0
  for (let byte = bytes[at] ?? 0; byte >= ZERO && byte < ZERO + 10; byte = bytes[at] ?? 0) {
    opaque = opaque * 10 + byte - ZERO
    at++
  }
  const count = at - digits
  if (count === 0 || count > INT_DIGITS || (count > 1 && bytes[digits] === ZERO)) return undefined
  if (at + shape.end.length !== end || !isAt(shape.end, view, at)) return undefined

  const from = begins[0] ?? 0
  const text = bytes.toString("latin1", from, ends[names.length - 1])
  const extFields: Record<string, string> = { ...shape.extFields }
  for (let i = 0; i < names.length; i++) {
    extFields[names[i] ?? ""] = text.slice((begins[i] ?? 0) - from, (ends[i] ?? 0) - from)
  }
  const { code, flag, language, remark, version } = example
  return { code, language, version, opaque, flag, remark, extFields, body, serializeType: "JSON" }
}

/** After how many headers of other shapes, at most, another one is taken for the usual. */
const MAX_PATIENCE = 1_024

/**
 * Makes the reader of one connection. It learns the usual shape, and another one when others come, more reluctantly each
 * time.
 */
export const makeShapeReader = (readText: Utf8.TextReader = Utf8.read): JsonHeaderReader => {
  let shape: Shape | undefined
  let patience = 2
  let others = 0
  let viewed: Uint8Array | undefined
  let view: DataView = new DataView(new ArrayBuffer(0))

  return (bytes, start, end, body) => {
    if (shape !== undefined) {
      if (viewed !== bytes) {
        viewed = bytes
        view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      }
      const command = readAs(shape, bytes, view, start, end, body)
      if (command !== undefined) return command
    }
    const text = readText(bytes, start, end)
    if (text === undefined) return new FrameError({ kind: "header", detail: "it is no UTF-8" })
    const command = decodeJsonHeader(text, body)
    if (++others >= patience && !(command instanceof FrameError)) {
      others = 0
      patience = Math.min(patience * 2, MAX_PATIENCE)
      shape = shapeOf(text, command) ?? shape
    }
    return command
  }
}
