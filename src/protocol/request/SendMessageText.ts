import { fixed, MAX_NUMBER_BYTES, MAX_UNIT_BYTES, putBytes, putNumber, putText } from "../JsonText.ts"
import type { OutputBuffer } from "../OutputBuffer.ts"
import type { ExtFields, FieldsText, Request } from "../RemotingCommand.ts"
import { codes, request, type SendMessageForm, shortNames } from "./SendMessage.ts"

/**
 * The requests of `SendMessage` for whoever sends many: what all sends to a topic and to a broker have in common is
 * written once and kept as bytes.
 */

/** What all sends of a producer have in common; see `SendMessageHeader`. */
export interface SenderFields {
  readonly producerGroup: string
  readonly defaultTopic: string
  readonly defaultTopicQueueNums: number
  readonly unitMode: boolean
}

/** A message as it leaves. */
export interface SentMessage {
  readonly topic: string
  readonly sysFlag: number
  readonly flag: number
  readonly properties: string
  readonly body: Uint8Array
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
    const text = fixed(make(key))
    texts.set(key, text)
    return text
  }
}

class SendMessageText implements Request, FieldsText {
  readonly code: number
  readonly body: Uint8Array
  private readonly record: (request: SendMessageText) => ExtFields
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
    record: (request: SendMessageText) => ExtFields
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
    putBytes(out, this.before)
    putNumber(out, this.queueId)
    putBytes(out, afterQueueId)
    putNumber(out, this.message.sysFlag)
    putBytes(out, afterSysFlag)
    putNumber(out, this.bornTimestamp)
    putBytes(out, afterBornTimestamp)
    putNumber(out, this.message.flag)
    putBytes(out, afterFlag)
    putText(out, this.message.properties)
    putBytes(out, this.after)
  }
}

/** Makes the requests of one producer. */
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
  const record = ({ bornTimestamp, brokerName, message, queueId }: SendMessageText) =>
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
    return new SendMessageText(
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
