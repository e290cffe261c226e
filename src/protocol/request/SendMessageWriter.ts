import { fixed, MAX_NUMBER_BYTES, MAX_UNIT_BYTES, type OutputBuffer } from "../OutputBuffer.ts"
import type { ExtFields, FieldsText, Request } from "../RemotingCommand.ts"
import { codes, request, type SendMessageForm, shortNames } from "./SendMessage.ts"

/**
 * The requests of `SendMessage` for whoever sends many: what all sends to a topic and to a broker have in common is written
 * once and kept as bytes.
 */

/** What all sends of a producer have in common; see `SendMessageHeader`. */
export interface SenderFields {
  /** The producer group. */
  readonly producerGroup: string
  /** The topic from which a missing topic is created (Java `createTopicKey`). */
  readonly defaultTopic: string
  /** Queues that a topic gets when a send creates it. */
  readonly defaultTopicQueueNums: number
  /** Whether the producer belongs to a unit of a deployment over several regions. */
  readonly unitMode: boolean
}

/** A message as it leaves. */
export interface SentMessage {
  /** The topic as it goes on the wire, namespace included. */
  readonly topic: string
  /** Bits of `SysFlag`. */
  readonly sysFlag: number
  /** The user's number of the message. */
  readonly flag: number
  /** Encoded by `MessageProperties.encode`. */
  readonly properties: string
  /** The body, packed already where `sysFlag` says so. */
  readonly body: Uint8Array
  /** How it is put on the wire. */
  readonly form: SendMessageForm
}

/** Makes the request that sends a message to a queue; `bornTimestamp` is in milliseconds since the epoch. */
export type SendMessageRequests = (
  message: SentMessage,
  queue: { readonly brokerName: string; readonly queueId: number },
  bornTimestamp: number
) => Request

const afterQueueId = fixed('","f":"')
const afterSysFlag = fixed('","g":"')
const afterBornTimestamp = fixed('","h":"')
const afterFlag = fixed('","i":"')
const FIXED_BYTES = afterQueueId.length + afterSysFlag.length + afterBornTimestamp.length + afterFlag.length

/** How many topics and brokers are kept at most, so that no program can fill the memory with them. */
const MAX_KEPT = 10_000

/** The text that belongs to a key, made when it is asked for first. */
const kept = (make: (key: string) => string): ((key: string) => Uint8Array) => {
  const texts = new Map<string, Uint8Array>()
  return (key) => {
    const known = texts.get(key)
    if (known !== undefined) return known
    if (texts.size >= MAX_KEPT) texts.clear()
    const bytes = fixed(make(key))
    texts.set(key, bytes)
    return bytes
  }
}

class SendMessageFields implements Request, FieldsText {
  readonly code: number
  readonly body: Uint8Array
  private readonly record: (request: SendMessageFields) => ExtFields
  private readonly before: Uint8Array
  private readonly after: Uint8Array
  readonly message: SentMessage
  readonly queueId: number
  readonly brokerName: string
  readonly bornTimestamp: number

  constructor(
    message: SentMessage,
    queueId: number,
    brokerName: string,
    bornTimestamp: number,
    before: Uint8Array,
    after: Uint8Array,
    record: (request: SendMessageFields) => ExtFields
  ) {
    this.code = codes[message.form]
    this.body = message.body
    this.message = message
    this.queueId = queueId
    this.brokerName = brokerName
    this.bornTimestamp = bornTimestamp
    this.before = before
    this.after = after
    this.record = record
  }

  get extFields(): ExtFields {
    return this.record(this)
  }

  get fieldsText(): FieldsText {
    return this
  }

  get maxBytes(): number {
    const { length } = this.message.properties
    return this.before.length + FIXED_BYTES + this.after.length + 4 * MAX_NUMBER_BYTES + length * MAX_UNIT_BYTES
  }

  put(out: OutputBuffer): void {
    out.putBytes(this.before)
    out.putNumber(this.queueId)
    out.putBytes(afterQueueId)
    out.putNumber(this.message.sysFlag)
    out.putBytes(afterSysFlag)
    out.putNumber(this.bornTimestamp)
    out.putBytes(afterBornTimestamp)
    out.putNumber(this.message.flag)
    out.putBytes(afterFlag)
    out.putText(this.message.properties)
    out.putBytes(this.after)
  }
}

/**
 * Makes the requests of one producer: what all sends to a topic and to a broker have in common is written once and kept
 * as bytes.
 */
export const makeSendMessageRequests = (sender: SenderFields): SendMessageRequests => {
  const headerOf = (message: SentMessage, queueId: number, brokerName: string, bornTimestamp: number) => ({
    ...sender,
    topic: message.topic,
    queueId,
    sysFlag: message.sysFlag,
    bornTimestamp,
    flag: message.flag,
    properties: message.properties,
    reconsumeTimes: 0,
    brokerName
  })
  const record = ({ bornTimestamp, brokerName, message, queueId }: SendMessageFields) =>
    shortNames(headerOf(message, queueId, brokerName, bornTimestamp), message.form === "BATCH")
  const quoted = JSON.stringify
  const before = kept(
    (topic) =>
      `{"a":${quoted(sender.producerGroup)},"b":${quoted(topic)},"c":${quoted(sender.defaultTopic)},"d":"${sender.defaultTopicQueueNums}","e":"`
  )
  const afterOf = (batch: boolean) =>
    kept((brokerName) => `","j":"0","k":"${sender.unitMode}","m":"${batch}","n":${quoted(brokerName)}}`)
  const after = afterOf(false)
  const afterBatch = afterOf(true)

  return (message, { brokerName, queueId }, bornTimestamp) => {
    const { body, form, topic } = message
    if (form === "V1" || form === "REPLY_V1") {
      return request(headerOf(message, queueId, brokerName, bornTimestamp), body, form)
    }
    return new SendMessageFields(
      message,
      queueId,
      brokerName,
      bornTimestamp,
      before(topic),
      form === "BATCH" ? afterBatch(brokerName) : after(brokerName),
      record
    )
  }
}
