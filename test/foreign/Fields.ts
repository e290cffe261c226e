/** The texts in what a server sends: where they are, and a frame with another text in one of them. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { setField } from "../../src/protocol/ExtFields.ts"
import { type JsonValue, parse, stringify } from "../../src/protocol/LenientJson.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"

const protocol = Path.join(import.meta.dirname, "..", "..", "src", "protocol")

/** The modules of the protocol that a client reads answers and requests of servers with. */
const readByClients = (): ReadonlySet<string> => {
  const src = Path.join(protocol, "..")
  const sources = ["client", "producer", "consumer", "admin", "cli"].flatMap((folder) =>
    Fs.readdirSync(Path.join(src, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => Fs.readFileSync(Path.join(src, folder, file), "utf8"))
  )
  return new Set(
    sources.flatMap((source) =>
      [...source.matchAll(/protocol\/((?:request|push)\/\w+\.ts)/g)].map(([, file = ""]) => file)
    )
  )
}

/** A field of a codec, in the way in which all codecs are written. */
const FIELD = /^\s+(\w+): ((?:HeaderCodec|Body)\..*)$/gm

/** The codec of what only a client sends: headers, unless they are an answer's. */
const REQUEST_HEADER =
  /^const (?!responseHeader\b|answerHeader\b|valueOnly\b)\w+[^=]*= HeaderCodec\.struct\(\{[\s\S]*?\}\)$/gm

const fieldsIn = (source: string, wanted: RegExp): ReadonlyArray<string> =>
  [...source.matchAll(FIELD)].flatMap(([, name = "", codec = ""]) => (wanted.test(codec) ? [name] : []))

const sourceOf = (file: string): string => {
  const source = Fs.readFileSync(Path.join(protocol, file), "utf8")
  return file.startsWith("request/") ? source.replaceAll(REQUEST_HEADER, "") : source
}

/** Codecs that those of several requests share. */
const shared = ["ClusterInfo.ts", "TopicConfig.ts", "TopicRouteData.ts"]

/** The fields of text that the codecs know in what a client reads, by name. */
export const textFields = (): ReadonlySet<string> =>
  new Set([...readByClients(), ...shared].flatMap((file) => fieldsIn(sourceOf(file), /string|textRecord|brokerName/)))

/** All fields that any codec knows, by name. */
const known: ReadonlySet<string> = new Set(
  ["request", "push", ""].flatMap((folder) =>
    Fs.readdirSync(Path.join(protocol, folder))
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) =>
        [...Fs.readFileSync(Path.join(protocol, folder, file), "utf8").matchAll(/^\s+(\w+): /gm)].map(
          ([, name = ""]) => name
        )
      )
  )
)

/** What becomes of a text. */
export type Change = (text: string) => string

/** Whether it is an object with members of its own names; otherwise it is a map, whose keys are foreign as well. */
const isStruct = (value: ReadonlyMap<string, JsonValue>): boolean => [...value.keys()].every((key) => known.has(key))

const objectKey = (key: string): ReadonlyMap<string, JsonValue> | undefined => {
  if (!key.startsWith("{")) return undefined
  const parsed = parse(key)
  return parsed instanceof Map ? (parsed as ReadonlyMap<string, JsonValue>) : undefined
}

/** Visits every text, number and key of a JSON value, and gives the value with what `change` makes of those at `wanted`. */
const inJson = (
  value: JsonValue,
  path: string,
  visit: (path: string, text: string) => string | undefined
): JsonValue => {
  if (Array.isArray(value)) return (value as ReadonlyArray<JsonValue>).map((item) => inJson(item, `${path}[]`, visit))
  if (value instanceof Map) {
    const struct = isStruct(value as ReadonlyMap<string, JsonValue>)
    return new Map(
      Array.from(value as ReadonlyMap<string, JsonValue>, ([key, item]): [string, JsonValue] => {
        const asObject = objectKey(key)
        const name =
          asObject === undefined
            ? struct
              ? key
              : (visit(`${path}{key}`, key) ?? key)
            : stringify(inJson(asObject, `${path}{key}`, visit))
        return [name, inJson(item, `${path}.${struct ? key : "*"}`, visit)]
      })
    )
  }
  if (value === null) return value
  return visit(path, typeof value === "string" ? value : stringify(value)) ?? value
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const inMessages = (
  body: Uint8Array,
  visit: (path: string, text: string) => string | undefined
): Uint8Array | undefined => {
  const { error, messages, more } = MessageCodec.decodeExact(body)
  if (error !== undefined || more || messages.length === 0) return undefined
  return Buffer.concat(
    messages.map((message) => {
      const properties: Record<string, string> = {}
      for (const [name, value] of Object.entries(message.properties)) {
        setField(
          properties,
          visit("message.properties{key}", name) ?? name,
          visit(`message.properties.${name}`, value) ?? value
        )
      }
      const text = decoder.decode(message.body)
      const changed = visit("message.body", text)
      return MessageCodec.encode({
        ...message,
        topic: visit("message.topic", message.topic) ?? message.topic,
        body: changed === undefined ? message.body : encoder.encode(changed),
        properties
      })
    })
  )
}

const inBody = (body: Uint8Array, visit: (path: string, text: string) => string | undefined): Uint8Array => {
  if (body.length === 0) return body
  const stored = inMessages(body, visit)
  if (stored !== undefined) return stored
  const json = parse(body)
  if (!(json instanceof DecodeError)) return encoder.encode(stringify(inJson(json, "body", visit)))
  const changed = visit("text", decoder.decode(body))
  return changed === undefined ? body : encoder.encode(changed)
}

/** Visits each text of a command; the command with every text for which `visit` gives another one. */
const visited = (
  command: RemotingCommand,
  visit: (path: string, text: string) => string | undefined
): RemotingCommand => {
  const extFields: Record<string, string> = {}
  for (const [name, value] of Object.entries(command.extFields ?? {})) {
    // A reply that is pushed has the message's properties as one text.
    const inside = name === "properties" ? MessageProperties.decode(value) : undefined
    if (inside === undefined) setField(extFields, name, visit(`ext.${name}`, value) ?? value)
    else {
      const changed: Record<string, string> = {}
      for (const [key, text] of Object.entries(inside)) {
        setField(changed, key, visit(`ext.properties.${key}`, text) ?? text)
      }
      setField(extFields, name, MessageProperties.encode(changed))
    }
  }
  return {
    ...command,
    language: visit("language", command.language) ?? command.language,
    remark: visit("remark", command.remark ?? "") ?? command.remark,
    extFields,
    body: inBody(command.body, visit)
  }
}

/** Where the texts of a command are. */
export const pathsOf = (command: RemotingCommand): ReadonlySet<string> => {
  const paths = new Set<string>()
  visited(command, (path) => {
    paths.add(path)
    return undefined
  })
  return paths
}

/** The command with another text at the path. */
export const planted = (command: RemotingCommand, path: string, change: Change): RemotingCommand =>
  visited(command, (at, text) => (at === path ? change(text) : undefined))

/** The names of a path that a codec may know. */
export const namesOf = (path: string): ReadonlyArray<string> => path.split(/[.[\]{}]+/)
