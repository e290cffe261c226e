import { Effect, Schema } from "effect"
import type { Message } from "./Message.ts"
import type { MessageExt } from "./MessageExt.ts"
import { SysFlag } from "./SysFlag.ts"

/** User property of a message that says how its body is written. */
export const CODEC_PROPERTY = "codec"
/** User property of a message that says which version of the topic's schema wrote its body. */
export const CODEC_VERSION_PROPERTY = "codecVersion"

/** A value that its topic's schema cannot write, or whose key or tags its topic cannot tell; nothing was sent. */
export class TopicEncodeError extends Schema.TaggedError<TopicEncodeError>()("TopicEncodeError", {
  /** The topic's name. */
  topic: Schema.String,
  /** What the schema objects to, or that the topic's `key` or `tags` threw. */
  issue: Schema.String,
  /** The `SchemaError` with the whole tree of issues, or what was thrown. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The value for topic "${this.topic}" does not fit the topic's schema, key or tags: ${this.issue}. Nothing was sent; correct the value or the topic.`
  }
}

/** A message whose body its topic's schema cannot read. */
export class TopicDecodeError extends Schema.TaggedError<TopicDecodeError>()("TopicDecodeError", {
  /** The topic that the message lies in, which for a retry is the group's retry topic. */
  topic: Schema.String,
  /** The client's unique id of the message (`UNIQ_KEY`); undefined when the sender set none. */
  msgId: Schema.UndefinedOr(Schema.String),
  /**
   * - `codec`: the message says to be written in another codec
   * - `compressed`: the body is still packed
   * - `utf8`: the body is no text
   * - `schema`: the text is no JSON, or not what the schema describes
   */
  kind: Schema.Literals(["codec", "compressed", "utf8", "schema"]),
  /** What does not fit, in words. */
  issue: Schema.String,
  /** The `SchemaError` or what the decoder threw; undefined for `codec` and `compressed`. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    const id = this.msgId === undefined ? "" : ` ${this.msgId}`
    return `Message${id} of topic "${this.topic}" cannot be read (${this.kind}): ${this.issue}. Its sender may use another schema or version.`
  }
}

/** What a topic is made of besides its name. */
export interface TopicOptions<A, E, RD, RE> {
  /** The type of the values, and their JSON form. */
  readonly schema: Schema.Codec<A, E, RD, RE>
  /** The business keys of a value, by which its message can be queried; none when absent. */
  readonly key?: ((value: A) => string | ReadonlyArray<string>) | undefined
  /** The tag of a value, by which consumers filter; none when absent. */
  readonly tags?: ((value: A) => string) | undefined
  /** How bodies are written; default and only one `json`: UTF-8 JSON of the schema's canonical JSON form. */
  readonly codec?: "json" | undefined
  /** The version of the schema, for readers that have to tell several apart; default `1`. */
  readonly version?: string | undefined
}

/** What a message has that does not come from its value. */
export type EncodeOptions = Pick<Message, "properties" | "flag" | "waitStoreMsgOK" | "delay">

/**
 * A topic whose messages hold values of one type.
 *
 * A message says in the user properties `codec` and `codecVersion` how it was written. User properties of the same names
 * give way to these. A message without them, from a sender that knows nothing of this, is taken for JSON.
 */
export interface Topic<A, RD = never, RE = never> {
  /** The topic's name. */
  readonly name: string
  /** How bodies are written. */
  readonly codec: "json"
  /** The version of the schema, which messages carry in the property `codecVersion`. */
  readonly version: string
  /** The message of a value. Fails with {@link TopicEncodeError} when the value does not fit the schema. */
  readonly encode: (value: A, options?: EncodeOptions) => Effect.Effect<Message, TopicEncodeError, RE>
  /**
   * The value of a message whose body is unpacked. Fails with {@link TopicDecodeError}. The version is not compared: a
   * schema may read several, and a reader that must not can look at the property.
   */
  readonly decode: (
    message: Pick<MessageExt, "topic" | "body" | "properties" | "sysFlag">
  ) => Effect.Effect<A, TopicDecodeError, RD>
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/**
 * Makes a typed topic.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Topic } from "effect-rocketmq"
 *
 * const Order = Schema.Struct({ id: Schema.String, total: Schema.Number })
 * const orders = Topic.make("orders", { schema: Order, key: (order) => order.id })
 *
 * const message = orders.encode({ id: "order-7", total: 12 })
 * ```
 */
export const make = <A, E, RD = never, RE = never>(
  name: string,
  options: TopicOptions<A, E, RD, RE>
): Topic<A, RD, RE> => {
  const { codec = "json", key, schema, tags, version = "1" } = options
  // Canonical: a Date, a bigint or an Option would else be written as JSON that the schema does not read.
  const json = Schema.fromJsonString(Schema.toCodecJson(schema))
  const toText = Schema.encodeEffect(json)
  const fromText = Schema.decodeEffect(json)

  const messageOf = (value: A, text: string, extra: EncodeOptions | undefined): Message => {
    const keys = key?.(value)
    const tag = tags?.(value)
    return {
      ...extra,
      topic: name,
      body: encoder.encode(text),
      ...(tag === undefined ? {} : { tags: tag }),
      ...(keys === undefined ? {} : { keys: typeof keys === "string" ? [keys] : keys }),
      properties: { ...extra?.properties, [CODEC_PROPERTY]: codec, [CODEC_VERSION_PROPERTY]: version }
    }
  }

  return {
    name,
    codec,
    version,
    encode: (value, extra) =>
      Effect.suspend(() => toText(value)).pipe(
        Effect.mapError((cause) => new TopicEncodeError({ topic: name, issue: cause.message, cause })),
        Effect.flatMap((text) =>
          Effect.try({
            try: () => messageOf(value, text, extra),
            // The schema was content: what throws is a function of the user's.
            catch: (cause) => new TopicEncodeError({ topic: name, issue: "its key or tags function threw", cause })
          })
        )
      ),
    decode: (message) =>
      Effect.suspend((): Effect.Effect<A, TopicDecodeError, RD> => {
        const fail = (kind: TopicDecodeError["kind"], issue: string, cause?: unknown) =>
          new TopicDecodeError({
            topic: message.topic,
            msgId: own(message.properties, "UNIQ_KEY"),
            kind,
            issue,
            cause
          })
        const written = own(message.properties, CODEC_PROPERTY)
        if (written !== undefined && written !== codec) {
          return Effect.fail(fail("codec", `it is written in "${written}", the topic is in "${codec}"`))
        }
        if ((message.sysFlag & SysFlag.COMPRESSED) !== 0) {
          return Effect.fail(fail("compressed", "its body is still packed"))
        }
        let text: string
        try {
          text = decoder.decode(message.body)
        } catch (cause) {
          return Effect.fail(fail("utf8", "its body is no UTF-8", cause))
        }
        return Effect.mapError(fromText(text), (cause) => fail("schema", cause.message, cause))
      })
  }
}

const own = (properties: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(properties, name) ? properties[name] : undefined
