import { fixed, MAX_NUMBER_BYTES, putBytes, putNumber } from "./JsonText.ts"
import type { OutputBuffer } from "./OutputBuffer.ts"
import { encodeInto } from "./FrameCodec.ts"
import { emptyBody, type Request, type SerializeType } from "./RemotingCommand.ts"

/** What a connection puts into each of its requests. */
export interface RequestEncoderOptions {
  readonly language: string
  readonly version: number
  readonly serializeType: SerializeType
}

/** Appends a request as one frame. */
export type RequestEncoder = (out: OutputBuffer, request: Request, opaque: number, flag: number) => void

/**
 * Makes the encoder of a connection. It writes what `encodeInto` would write; the header of a request that can write its
 * own fields is put together from bytes, without a record, a text or a copy in between.
 */
export const makeRequestEncoder = (options: RequestEncoderOptions): RequestEncoder => {
  const { language, serializeType, version } = options
  const code = fixed('{"code":')
  const extFields = fixed(',"extFields":')
  const flagField = fixed(',"flag":')
  const opaqueField = fixed(`,"language":${JSON.stringify(language)},"opaque":`)
  const end = fixed(`,"serializeTypeCurrentRPC":"JSON","version":${version}}`)
  const room =
    8 + code.length + extFields.length + flagField.length + opaqueField.length + end.length + 3 * MAX_NUMBER_BYTES

  return (out, request, opaque, flag) => {
    const { fieldsText } = request
    const body = request.body ?? emptyBody
    if (fieldsText === undefined || serializeType !== "JSON" || request.remark !== undefined) {
      const { code: requestCode, extFields: fields, remark } = request
      encodeInto(out, {
        code: requestCode,
        language,
        version,
        opaque,
        flag,
        remark,
        extFields: fields,
        body,
        serializeType
      })
      return
    }
    out.reserve(room + fieldsText.maxBytes + body.length)
    const start = out.end
    try {
      out.end = start + 8
      putBytes(out, code)
      putNumber(out, request.code)
      putBytes(out, extFields)
      fieldsText.put(out)
      putBytes(out, flagField)
      putNumber(out, flag)
      putBytes(out, opaqueField)
      putNumber(out, opaque)
      putBytes(out, end)
      const headerLength = out.end - start - 8
      out.bytes.writeInt32BE(4 + headerLength + body.length, start)
      out.bytes.writeInt32BE(headerLength & 0xffffff, start + 4)
      if (body.length > 0) putBytes(out, body)
    } catch (error) {
      // Nothing of a frame that is not whole stays behind.
      out.end = start
      throw error
    }
  }
}
