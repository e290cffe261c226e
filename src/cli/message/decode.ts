import { Console, Effect, Stdio, Stream } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { decodeFrame, FrameError, makeFrameDecoder } from "../../protocol/Frame.ts"
import * as LenientJson from "../../protocol/LenientJson.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { isOneway, isResponse, type RemotingCommand } from "../../protocol/RemotingCommand.ts"
import * as SendMessage from "../../protocol/request/SendMessage.ts"
import { RequestCode, requestCodeName } from "../../protocol/RequestCode.ts"
import { responseCodeName } from "../../protocol/ResponseCode.ts"
import { CommandFailed, ExitCode, reporting, tellAll, UsageError } from "../Failure.ts"
import { palette, Screen } from "../Screen.ts"
import { json, printable } from "../Text.ts"

/** What `decode` is asked. */
export interface DecodeInput {
  /** Hexadecimal digits; standard input when absent. */
  readonly hex: string | undefined
  readonly json: boolean
}

/** A body as text, as the messages in it, or as base64. */
export type DecodedBody =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly bytes: number; readonly value: unknown }
  | { readonly kind: "text"; readonly bytes: number; readonly text: string }
  | { readonly kind: "messages"; readonly bytes: number; readonly messages: ReadonlyArray<DecodedMessage> }
  | { readonly kind: "binary"; readonly bytes: number; readonly base64: string }

/** A stored message inside a body. */
export interface DecodedMessage extends Omit<MessageExt, "body"> {
  readonly body: DecodedBody
}

/** A frame as `decode --json` prints it; the shape is frozen. */
export interface DecodedFrame {
  readonly kind: "request" | "one-way request" | "answer"
  readonly code: number
  readonly codeName: string
  readonly opaque: number
  readonly flag: number
  readonly language: string
  readonly version: number
  readonly versionName: string | null
  readonly serializeType: string
  readonly remark: string | null
  /** As they stand in the frame; a security token is left out. */
  readonly extFields: Readonly<Record<string, string>> | null
  /** What the fields mean, for sends: their long names, and the message's properties. */
  readonly header: Readonly<Record<string, unknown>> | null
  readonly body: DecodedBody
}

const versionNames: ReadonlyMap<number, string> = new Map(
  Object.entries(MQVersion).flatMap(([name, number]) => (name === "CURRENT" ? [] : [[number, name] as const]))
)

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Maps, which the lenient reader makes of objects, as plain objects again. */
const plain = (value: LenientJson.JsonValue): unknown =>
  value instanceof Map
    ? Object.fromEntries([...value].map(([name, item]) => [name, plain(item)]))
    : Array.isArray(value)
      ? value.map(plain)
      : typeof value === "bigint"
        ? String(value)
        : value

const storedMagic = (body: Uint8Array): boolean => {
  if (body.length < 8) return false
  const magic = new DataView(body.buffer, body.byteOffset, body.length).getInt32(4)
  return magic === -626_843_481 || magic === -626_843_477
}

/** What a body holds, as far as that can be told from the body alone. */
export const decodeBody = (body: Uint8Array): DecodedBody => {
  const bytes = body.length
  if (bytes === 0) return { kind: "none" }
  if (storedMagic(body)) {
    const { messages } = MessageCodec.decodeAll(body)
    return {
      kind: "messages",
      bytes,
      messages: messages.map((message) => ({ ...message, body: decodeBody(message.body) }))
    }
  }
  const text = textOf(body)
  if (text === undefined) return { kind: "binary", bytes, base64: Buffer.from(body).toString("base64") }
  if (/^\s*[[{]/.test(text)) {
    const value = LenientJson.parse(text)
    if (!(value instanceof DecodeError)) return { kind: "json", bytes, value: plain(value) }
  }
  return { kind: "text", bytes, text }
}

const sends: ReadonlySet<number> = new Set<number>([
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE
])

const headerOf = (command: RemotingCommand): Readonly<Record<string, unknown>> | null => {
  if (isResponse(command) || !sends.has(command.code)) return null
  const header = SendMessage.decodeRequest(command)
  if (header instanceof DecodeError) return null
  const { properties, ...rest } = header
  return { ...rest, ...(properties === undefined ? {} : { properties: MessageProperties.decode(properties) }) }
}

const withoutSecrets = (fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.hasOwn(fields, "SecurityToken") ? { ...fields, SecurityToken: "<left out>" } : fields

/** A frame in words. */
export const describeFrame = (command: RemotingCommand): DecodedFrame => {
  const answer = isResponse(command)
  return {
    kind: answer ? "answer" : isOneway(command) ? "one-way request" : "request",
    code: command.code,
    codeName: answer ? responseCodeName(command.code) : requestCodeName(command.code),
    opaque: command.opaque,
    flag: command.flag,
    language: command.language,
    version: command.version,
    versionName: versionNames.get(command.version) ?? null,
    serializeType: command.serializeType,
    remark: command.remark ?? null,
    extFields: command.extFields === undefined ? null : withoutSecrets(command.extFields),
    header: headerOf(command),
    body: decodeBody(command.body)
  }
}

/** The bytes that a text of hexadecimal digits stands for; undefined when it is none. */
export const parseHex = (text: string): Uint8Array | undefined => {
  const digits = text.replace(/0x|[\s:,]/gi, "")
  return digits !== "" && digits.length % 2 === 0 && /^[0-9a-f]+$/i.test(digits)
    ? Buffer.from(digits, "hex")
    : undefined
}

/** The frames in some bytes, with their length in front or, for one frame, without it. */
export const framesOf = (
  bytes: Uint8Array
): { readonly frames: ReadonlyArray<RemotingCommand>; readonly problem: string | undefined } => {
  const decoder = makeFrameDecoder()
  const { commands, error } = decoder.push(bytes)
  if (commands.length === 0) {
    const alone = decodeFrame(bytes)
    if (!(alone instanceof FrameError)) return { frames: [alone], problem: undefined }
  }
  const problem =
    error !== undefined
      ? error.message
      : decoder.pending > 0
        ? `${decoder.pending} bytes at the end are no whole frame`
        : undefined
  return { frames: commands, problem }
}

const bodyLines = (body: DecodedBody): ReadonlyArray<string> => {
  switch (body.kind) {
    case "none":
      return []
    case "json":
      return [`${body.bytes} bytes of JSON`, ...JSON.stringify(body.value, undefined, 2).split("\n")]
    case "text":
      return [`${body.bytes} bytes of text`, ...body.text.split("\n")]
    case "messages":
      return [
        `${body.bytes} bytes, ${body.messages.length} stored`,
        ...body.messages.flatMap(({ body: inner, ...fields }) => [
          ...JSON.stringify(fields, undefined, 2).split("\n"),
          ...bodyLines(inner)
        ])
      ]
    default:
      return [`${body.bytes} bytes, as base64`, body.base64]
  }
}

const readInput = Effect.fnUntraced(function* (given: string | undefined) {
  if (given !== undefined) return given
  const stdio = yield* Stdio.Stdio
  return yield* stdio.stdin.pipe(
    Stream.decodeText(),
    Stream.mkString,
    Effect.mapError(
      (error) =>
        new UsageError({
          problem: `Standard input cannot be read: ${error.message}`,
          remedy: "Pipe the digits in, or pass them as an argument."
        })
    )
  )
})

/** `effect-rocketmq decode`: turns the bytes of frames, as hexadecimal digits, into what they say. */
export const run = (input: DecodeInput) =>
  Effect.gen(function* () {
    const bytes = parseHex(yield* readInput(input.hex))
    if (bytes === undefined) {
      return yield* new UsageError({
        problem: "That is no even number of hexadecimal digits.",
        remedy: "Pass the bytes of a frame as hex, with or without spaces: as xxd -p, or a packet capture, prints them."
      })
    }
    const { frames, problem } = framesOf(bytes)
    const colors = palette((yield* Screen).stdout)
    for (const command of frames) {
      const frame = describeFrame(command)
      if (input.json) {
        yield* Console.log(json(frame))
        continue
      }
      yield* Console.log(`${colors.accent(`${frame.codeName} (${frame.code})`)} ${frame.kind}`)
      const { body, code: _, codeName: __, extFields, header, kind: ___, ...fields } = frame
      for (const [name, value] of Object.entries(fields)) {
        if (value !== null) yield* Console.log(`  ${name.padEnd(14)} ${printable(String(value))}`)
      }
      for (const [title, group] of [
        ["extFields", extFields],
        ["header", header]
      ] as const) {
        if (group === null) continue
        yield* Console.log(colors.dim(`  ${title}`))
        for (const [name, value] of Object.entries(group)) {
          const shown = typeof value === "string" ? value : JSON.stringify(value)
          yield* Console.log(`    ${printable(name).padEnd(24)} ${printable(shown)}`)
        }
      }
      const lines = bodyLines(body)
      if (lines.length > 0) yield* Console.log(colors.dim("  body"))
      for (const line of lines) yield* Console.log(`    ${printable(line)}`)
    }
    if (problem !== undefined) {
      const summary = ForeignText.clean(problem)
      const remedy = "Pass whole frames from their first byte on: a capture may have cut one, or hold another protocol."
      yield* tellAll([summary], { tag: "FrameError", remedy })
      return yield* new CommandFailed({ exitCode: ExitCode.failed, summary })
    }
    return undefined
  }).pipe(reporting())
