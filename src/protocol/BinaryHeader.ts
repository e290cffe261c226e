import { type ExtFields, setField } from "./ExtFields.ts"
import { FrameError } from "./FrameError.ts"
import { languageCode, languageName } from "./LanguageCode.ts"
import type { OutputBuffer } from "./OutputBuffer.ts"
import type { RemotingCommand } from "./RemotingCommand.ts"
import * as Utf8 from "./Utf8.ts"

/**
 * The binary header.
 *
 * ```text
 * int16 code | int8 language | int16 version | int32 opaque | int32 flag
 * int32 length, remark in UTF-8 (0: none)
 * int32 length of the entries (0: none), then per entry
 *   int16 length, name | int32 length, value
 * ```
 *
 * Source: RocketMQ `RocketMQSerializable`.
 */

const FIXED_LENGTH = 21
const INT16_MAX = 32_767

/** Appends the frame of a command with a binary header; false, and nothing written, when the form cannot hold it. */
export const writeBinaryHeader = (out: OutputBuffer, cmd: RemotingCommand): boolean => {
  if (!fitsInt16(cmd.code) || !fitsInt16(cmd.version)) return false
  const { body, extFields } = cmd
  const remark = cmd.remark ?? ""
  let worstCase = 8 + FIXED_LENGTH + remark.length * 3 + body.length
  for (const name in extFields) worstCase += 6 + name.length * 3 + textOf(extFields, name).length * 3
  out.reserve(worstCase)

  const { bytes, end: start } = out
  let at = bytes.writeInt16BE(cmd.code, start + 8)
  at = bytes.writeInt8(languageCode(cmd.language), at)
  at = bytes.writeInt16BE(cmd.version, at)
  at = bytes.writeInt32BE(cmd.opaque, at)
  at = bytes.writeInt32BE(cmd.flag, at)
  const remarkLength = bytes.write(remark, at + 4, "utf8")
  bytes.writeInt32BE(remarkLength, at)
  at += 4 + remarkLength

  const lengthAt = at
  at += 4
  for (const name in extFields) {
    const nameLength = bytes.write(name, at + 2, "utf8")
    if (nameLength > INT16_MAX) return false
    bytes.writeInt16BE(nameLength, at)
    at += 2 + nameLength
    const valueLength = bytes.write(textOf(extFields, name), at + 4, "utf8")
    bytes.writeInt32BE(valueLength, at)
    at += 4 + valueLength
  }
  bytes.writeInt32BE(at - lengthAt - 4, lengthAt)

  const headerLength = at - start - 8
  bytes.writeInt32BE(4 + headerLength + body.length, start)
  bytes.writeInt32BE(0x1000000 | headerLength, start + 4)
  if (body.length > 0) bytes.set(body, at)
  out.end = at + body.length
  return true
}

const fitsInt16 = (value: number): boolean => value >= -INT16_MAX - 1 && value <= INT16_MAX

const textOf = (fields: ExtFields, name: string): string => fields[name] ?? ""

const bad = (detail: string): FrameError => new FrameError({ kind: "header", detail })

/** Reads a binary header that lies in `bytes` from `start` to `end`; `body` goes into the command as it is. */
export const decodeBinaryHeader = (
  bytes: Buffer,
  start: number,
  end: number,
  body: Uint8Array
): RemotingCommand | FrameError => {
  if (end - start < FIXED_LENGTH) return bad(`a binary header of ${end - start} bytes`)
  const remarkLength = bytes.readInt32BE(start + 13)
  const remarkAt = start + 17
  if (remarkLength < 0 || remarkLength > end - remarkAt - 4) return bad(`a remark of ${remarkLength} bytes`)
  const entriesAt = remarkAt + remarkLength + 4
  const entriesLength = bytes.readInt32BE(entriesAt - 4)
  if (entriesLength < 0 || entriesLength > end - entriesAt) return bad(`extFields of ${entriesLength} bytes`)
  const extFields = entriesLength === 0 ? undefined : readEntries(bytes, entriesAt, entriesAt + entriesLength)
  if (extFields instanceof FrameError) return extFields
  return {
    code: bytes.readInt16BE(start),
    language: languageName(bytes.readInt8(start + 2)),
    version: bytes.readInt16BE(start + 3),
    opaque: bytes.readInt32BE(start + 5),
    flag: bytes.readInt32BE(start + 9),
    remark: remarkLength === 0 ? undefined : Utf8.read(bytes, remarkAt, remarkAt + remarkLength),
    extFields,
    body,
    serializeType: "ROCKETMQ"
  }
}

const readEntries = (bytes: Buffer, start: number, end: number): ExtFields | FrameError => {
  const out: Record<string, string> = {}
  let at = start
  while (at < end) {
    if (end - at < 6) return bad("extFields end inside an entry")
    const nameAt = at + 2
    const nameLength = bytes.readInt16BE(at)
    if (nameLength < 0 || nameLength > end - nameAt - 4) return bad(`a field name of ${nameLength} bytes`)
    const valueAt = nameAt + nameLength + 4
    const valueLength = bytes.readInt32BE(valueAt - 4)
    if (valueLength < 0 || valueLength > end - valueAt) return bad(`a field value of ${valueLength} bytes`)
    at = valueAt + valueLength
    setField(out, Utf8.read(bytes, nameAt, nameAt + nameLength), Utf8.read(bytes, valueAt, at))
  }
  return out
}
