import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { FoundMessage } from "../../admin/Queries.ts"
import type { ReadMessage } from "../../admin/QueueReader.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import * as MessageId from "../../message/MessageId.ts"
import * as Address from "../../transport/Address.ts"
import { NotThere, reporting, UsageError } from "../Failure.ts"
import * as MessageText from "../MessageText.ts"
import { toRun } from "../Printed.ts"
import { palette, Screen } from "../Screen.ts"
import { excerpt, json, moment, printable, table, millisOf, type Moment } from "../Text.ts"
import { inAnyCase } from "./MessageIds.ts"

/** What `message get` is asked. */
export interface MessageGetInput extends Connection {
  /** An offset message id says which broker has the message, and needs none. */
  readonly topic: string | undefined
  /** A sender's id, or an offset message id. */
  readonly id: string
  readonly json: boolean
}

/** What `message query` is asked: by key, by time, or both. */
export interface MessageQueryInput extends Connection {
  readonly topic: string
  readonly key: string | undefined
  readonly begin: Moment | undefined
  readonly end: Moment | undefined
  readonly count: number
  readonly json: boolean
}

/** Characters of what is no id that are told. */
const MAX_ID = 100

const peeked = (message: FoundMessage): ReadMessage => ({
  message,
  queue: { topic: message.topic, brokerName: message.brokerName, queueId: message.queueId }
})

/** A message as `message --json` prints it: what `peek` prints, and where it comes from. The shape is frozen. */
export const toJson = (message: FoundMessage) => ({
  ...MessageText.toJson(peeked(message)),
  storeTimestamp: message.storeTimestamp,
  bornHost: message.bornHost,
  storeHost: message.storeHost,
  commitLogOffset: message.commitLogOffset,
  reconsumeTimes: message.reconsumeTimes,
  flag: message.flag,
  sysFlag: message.sysFlag
})

/**
 * The message at a place in a broker's log, which an offset message id names. A sender's id looks like one too, and its
 * first bytes like an address, so that only brokers of the cluster are asked.
 */
const atPlace = Effect.fnUntraced(function* (id: string) {
  const place = MessageId.decodeOffsetMessageId(id)
  if (place === undefined) {
    return yield* new UsageError({
      problem: `"${excerpt(id, MAX_ID)}" is no offset message id, and any other is found in the index of its topic only.`,
      remedy: "Name the topic behind the id, or with --topic."
    })
  }
  const admin = yield* MQAdmin
  const { brokerAddrTable } = yield* admin.examineBrokerClusterInfo
  const named = Address.canonicalText(place.address)
  const home = [...brokerAddrTable.values()].find(({ brokerAddrs }) =>
    [...brokerAddrs.values()].some((address) => Address.canonicalText(address) === named)
  )
  if (home === undefined) {
    return yield* new NotThere({
      problem: `The id ${id} is of broker ${named}, which the name server does not know.`,
      remedy: "Ask the cluster of that broker; if it is a sender's msgId, name its topic behind it, or with --topic."
    })
  }
  const { brokerName } = home
  const message = yield* admin.viewMessage(id).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "BrokerRejected",
      () =>
        Effect.fail(
          new NotThere({
            problem: `Broker ${brokerName} (${named}) has no message at offset ${place.offset} of its log, which the id ${id} names.`,
            remedy: "Check the id. Brokers delete old messages after a time (fileReservedTime)."
          })
        )
    )
  )
  return { ...message, brokerName }
})

/** `effect-rocketmq message get`: one message by its id. */
export const get = (input: MessageGetInput) =>
  Effect.gen(function* () {
    const { id, topic } = input
    const admin = yield* MQAdmin
    const message = yield* topic === undefined
      ? atPlace(id)
      : inAnyCase(id, (spelling) => admin.queryMessageById(topic, spelling))
    const shown = toJson(message)
    if (input.json) {
      yield* Console.log(json(shown))
      return
    }
    const { body, encoding, properties, ...fields } = shown
    const times = new Set(["bornTimestamp", "storeTimestamp"])
    const lines = table([
      ...Object.entries(fields).map(([name, value]) => [
        name,
        times.has(name) ? moment(Number(value)) : String(value ?? "-")
      ]),
      ...Object.entries(properties).map(([name, value]) => [`property ${name}`, value])
    ])
    for (const line of lines) yield* Console.log(line)
    const colors = palette((yield* Screen).stdout)
    yield* Console.log(colors.dim(encoding === "utf8" ? "body" : "body, as base64"))
    yield* Console.log(body.split("\n").map(printable).join("\n"))
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** `effect-rocketmq message query`: messages by key or by the time they were stored, oldest first. */
export const query = (input: MessageQueryInput) =>
  Effect.gen(function* () {
    const { count: maxNum, key, topic } = input
    if (key === undefined && input.begin === undefined && input.end === undefined) {
      return yield* new UsageError({
        problem: "Nothing was said to look for.",
        remedy: `Pass --key, or a span of time with --begin and --end; or see what there is: ${toRun(input)`peek ${topic}`}`
      })
    }
    const now = yield* Clock.currentTimeMillis
    const options = {
      begin: input.begin === undefined ? undefined : millisOf(input.begin, now),
      end: input.end === undefined ? undefined : millisOf(input.end, now),
      maxNum,
      bodies: "stored"
    } as const
    const admin = yield* MQAdmin
    const found = yield* key === undefined
      ? admin.queryMessageByTime(topic, options)
      : admin.queryMessageByKey(topic, key, options)
    const colors = palette((yield* Screen).stdout)
    for (const stored of found.slice(0, maxNum)) {
      const message = { ...stored, ...(yield* admin.unpack(stored)) }
      yield* Console.log(input.json ? json(toJson(message)) : MessageText.toLine(peeked(message), colors))
    }
    if (found.length === 0) yield* Console.error(`no such message in topic ${topic}`)
    return undefined
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
