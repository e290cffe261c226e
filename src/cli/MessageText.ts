import { Effect } from "effect"
import type { ReadMessage } from "../admin/QueueReader.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { compressionOf } from "../protocol/Compression.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"
import { UsageError } from "./Failure.ts"
import type { Form, FormName } from "./MessageForm.ts"
import type { Palette } from "./Screen.ts"
import { count, excerpt, json, moment, printable } from "./Text.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const bodyOf = ({ body, sysFlag }: MessageExt): { readonly body: string; readonly encoding: "utf8" | "base64" } => {
  if (compressionOf(sysFlag) === undefined) {
    try {
      return { body: utf8.decode(body), encoding: "utf8" }
    } catch {
      // Not text: shown as base64.
    }
  }
  return { body: Buffer.from(body).toString("base64"), encoding: "base64" }
}

/** A message as `peek --json` and `consume --json` print it; the shape is frozen. */
export const toJson = ({ message, queue }: ReadMessage) => {
  const { properties } = message
  return {
    topic: message.topic,
    brokerName: queue.brokerName,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    /** The sender's id; the broker's where the sender gave none, as in Java. */
    msgId: message.msgId,
    offsetMsgId: message.offsetMsgId,
    /** Separated by spaces, as they are stored. */
    keys: properties[MessageConst.KEYS] ?? null,
    tags: message.tags ?? null,
    properties,
    bornTimestamp: message.bornTimestamp,
    ...bodyOf(message)
  }
}

const SHOWN = 160

/** A message as one line for people. */
export const toLine = ({ message, queue }: ReadMessage, colors: Palette): string => {
  const { body, encoding } = bodyOf(message)
  const { keys, tags } = message
  const text = printable(encoding === "utf8" ? body.slice(0, SHOWN) : `base64 ${body.slice(0, SHOWN)}`)
  return [
    colors.accent(excerpt(`${queue.brokerName}:${message.queueId}:${message.queueOffset}`, SHOWN)),
    colors.dim(moment(message.bornTimestamp)),
    ...(tags === undefined ? [] : [colors.good(excerpt(tags, SHOWN))]),
    ...(keys.length === 0 ? [] : [colors.warn(excerpt(keys.join(" "), SHOWN))]),
    `${text}${body.length > SHOWN ? colors.dim(` ... (${count(message.body.length, "byte")})`) : ""}`
  ].join("  ")
}

/** A field of a message as a template shows it. */
const fieldOf = ({ message, queue }: ReadMessage, name: FormName): string => {
  switch (name) {
    case "brokerName":
      return queue.brokerName
    case "keys":
      return message.keys.join(" ")
    case "tags":
      return message.tags ?? ""
    case "body":
      return bodyOf(message).body
    case "properties":
      return json(message.properties)
    default:
      return String(message[name])
  }
}

/**
 * A message as a template says. What is the template's own stays as it is; of the message, nothing is left that a terminal
 * acts on or that ends a line. A body that is no text is base64.
 */
export const toForm = (read: ReadMessage, form: Form): string =>
  form
    .map((part) =>
      "text" in part
        ? part.text
        : printable("name" in part ? fieldOf(read, part.name) : (read.message.properties[part.property] ?? ""))
    )
    .join("")

/** How a command prints messages: `--json`, `--format`, or the line for people. */
export const printer = (
  input: { readonly json: boolean; readonly format: Form | undefined },
  colors: Palette,
  asJson: (read: ReadMessage) => unknown = toJson
): Effect.Effect<(read: ReadMessage) => string, UsageError> => {
  const { format } = input
  if (input.json && format !== undefined) {
    return Effect.fail(
      new UsageError({ problem: "--json and --format exclude each other.", remedy: "Pass one of them." })
    )
  }
  return Effect.succeed((read) =>
    input.json ? json(asJson(read)) : format === undefined ? toLine(read, colors) : toForm(read, format)
  )
}
