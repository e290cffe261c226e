import { Arbitrary, Schema } from "effect"
import type { Message } from "../message/Message.ts"
import * as MixAll from "../message/MixAll.ts"
import { LanguageCode } from "../protocol/LanguageCode.ts"
import { isReserved } from "../protocol/MessageProperties.ts"
import type { RemotingCommand } from "../protocol/RemotingCommand.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { BrokerData, QueueData, TopicRouteData } from "../protocol/TopicRouteData.ts"
import type { FaultRule } from "./server/FaultScript.ts"
import * as FaultScript from "./server/FaultScript.ts"

/** Generators of RocketMQ's values for property tests, for `it.effect.prop` or `Arbitrary.checkEffect`. */

const between = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const oneOf = <const A extends string | number | boolean>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values))

const join = (
  characters: Arbitrary.Arbitrary<string>,
  minLength: number,
  maxLength: number
): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(characters, { minLength, maxLength }), (found) => found.join(""))

const int32 = between(-2_147_483_648, 2_147_483_647)
const nameCharacter = oneOf("a", "b", "Z", "0", "9", "_", "-", "%", "|")
/** Letters of several scripts, one outside the first plane, signs that formats like to trip over, and quotes. */
const textCharacter = oneOf(
  "a",
  "Z",
  "0",
  "é",
  "ß",
  "中",
  "文",
  "я",
  "😀",
  "\u202e",
  "=",
  "&",
  '"',
  "\\",
  ":",
  "{",
  "\n"
)
const byte = between(0, 255)
const bytes = (maxLength: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(byte, { maxLength }), (found) => Uint8Array.from(found))

/** Topic names that RocketMQ accepts, 1 to 127 characters, none of them the system's. */
export const topicName: Arbitrary.Arbitrary<string> = Arbitrary.filter(
  join(nameCharacter, 1, MixAll.TOPIC_MAX_LENGTH),
  (name) => !MixAll.isSystemTopic(name) && !MixAll.isRetryTopic(name)
)

/** Consumer and producer group names that RocketMQ accepts. */
export const groupName: Arbitrary.Arbitrary<string> = join(nameCharacter, 1, MixAll.GROUP_MAX_LENGTH)

/** Short text with characters of several scripts and planes; never blank, no lone surrogates. */
export const text: Arbitrary.Arbitrary<string> = Arbitrary.filter(
  join(textCharacter, 1, 20),
  (found) => found.trim() !== ""
)

/** User properties that a send accepts. */
export const properties: Arbitrary.Arbitrary<Readonly<Record<string, string>>> = Arbitrary.map(
  Arbitrary.array(Arbitrary.all({ name: Arbitrary.filter(text, (name) => !isReserved(name)), value: text }), {
    maxLength: 5
  }),
  (entries) => Object.fromEntries(entries.map(({ name, value }) => [name, value]))
)

/** Messages that a send accepts, with unicode in tags, keys and properties, and any bytes but none in the body. */
export const message: Arbitrary.Arbitrary<Message> = Arbitrary.map(
  Arbitrary.all({
    topic: topicName,
    first: byte,
    rest: bytes(200),
    tags: text,
    keys: Arbitrary.array(text, { maxLength: 3 }),
    properties,
    flag: int32,
    bare: oneOf(true, false)
  }),
  ({ bare, first, flag, keys, properties: given, rest, tags, topic }) => {
    const body = Uint8Array.from([first, ...rest])
    return bare ? { topic, body } : { topic, body, tags, keys, properties: given, flag }
  }
)

const address: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.all({ last: between(1, 254), port: between(1, 65_535) }),
  ({ last, port }) => `192.0.2.${last}:${port}`
)

interface BrokerSeed {
  readonly master: string
  readonly slave: string
  readonly hasSlave: boolean
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
}

const brokerSeed: Arbitrary.Arbitrary<BrokerSeed> = Arbitrary.all({
  master: address,
  slave: address,
  hasSlave: oneOf(true, false),
  readQueueNums: between(0, 16),
  writeQueueNums: between(0, 16),
  perm: oneOf(0, 2, 4, 6, 7)
})

/** Routes of one to four brokers with masters, some with a slave, of any permission. */
export const topicRoute: Arbitrary.Arbitrary<TopicRouteData> = Arbitrary.map(
  Arbitrary.array(brokerSeed, { minLength: 1, maxLength: 4 }),
  (seeds) => {
    const named = seeds.map((seed, index) => ({ ...seed, brokerName: `broker-${String.fromCharCode(97 + index)}` }))
    return {
      queueDatas: named.map(({ brokerName, perm, readQueueNums, writeQueueNums }): QueueData => ({
        brokerName,
        readQueueNums,
        writeQueueNums,
        perm,
        topicSysFlag: 0
      })),
      brokerDatas: named.map(({ brokerName, hasSlave, master, slave }): BrokerData => ({
        cluster: "DefaultCluster",
        brokerName,
        brokerAddrs: new Map(hasSlave ? [[0, master] as const, [1, slave] as const] : [[0, master] as const]),
        enableActingMaster: false
      })),
      filterServerTable: new Map()
    }
  }
)

const requestCodes: ReadonlyArray<number> = Object.values(RequestCode)

/** Frames of any request code and kind, with and without header fields, remark and body, in both header forms. */
export const frame: Arbitrary.Arbitrary<RemotingCommand> = Arbitrary.map(
  Arbitrary.all({
    code: between(0, requestCodes.length - 1),
    language: Arbitrary.schema(Schema.Literals(Object.keys(LanguageCode))),
    version: between(0, 600),
    opaque: int32,
    flag: oneOf(0, 1, 2),
    remark: text,
    hasRemark: oneOf(true, false),
    extFields: properties,
    hasExtFields: oneOf(true, false),
    body: bytes(200),
    serializeType: oneOf("JSON", "ROCKETMQ")
  }),
  ({ code, extFields, hasExtFields, hasRemark, remark, ...rest }) => ({
    ...rest,
    code: requestCodes[code] ?? 0,
    remark: hasRemark ? remark : undefined,
    // The binary header cannot tell an empty set of fields from none.
    extFields: hasExtFields && Object.keys(extFields).length > 0 ? extFields : undefined
  })
)

const fault = Arbitrary.map(
  Arbitrary.all({ which: between(0, 8), millis: between(0, 5_000) }),
  ({ millis, which }) =>
    [
      FaultScript.answer(ResponseCode.SYSTEM_BUSY, "[REJECTREQUEST]system busy, start flow control for a while"),
      FaultScript.answer(ResponseCode.SYSTEM_ERROR, "injected"),
      FaultScript.delay(millis),
      FaultScript.dropRequest,
      FaultScript.dropResponse,
      FaultScript.duplicateResponse,
      FaultScript.corruptResponse,
      FaultScript.cut("before"),
      FaultScript.cut("after")
    ][which] ?? FaultScript.dropRequest
)

/** One rule that fires a few times at random. */
export const faultRule: Arbitrary.Arbitrary<FaultRule> = Arbitrary.map(
  Arbitrary.all({ action: fault, times: between(1, 5), percent: between(1, 100) }),
  ({ action, percent, times }) => ({ match: { probability: percent / 100 }, actions: [action], times })
)

/** Scripts of up to five such rules. */
export const faultScript: Arbitrary.Arbitrary<FaultScript.FaultScript> = Arbitrary.array(faultRule, { maxLength: 5 })
