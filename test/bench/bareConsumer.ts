import * as Net from "node:net"
import { measureConsumer } from "./Meter.ts"
import { task } from "./Task.ts"

/**
 * The limit of a consumer: a bare node:net program that keeps one pull of each queue under way and reads each answer in
 * full: the header, and of each message the numbers, the topic, the properties one by one, and a view of the body.
 */

const options = task()
const colon = options.broker.address.lastIndexOf(":")

const socket = Net.connect({
  host: options.broker.address.slice(0, colon),
  port: Number(options.broker.address.slice(colon + 1)),
  noDelay: true
})
await new Promise<void>((resolve, reject) => void socket.once("connect", resolve).once("error", reject))

const pull = (queueId: number, offset: number): Buffer => {
  const header = `{"code":11,"extFields":{"consumerGroup":"bench-cg","topic":"${options.topic}","queueId":"${queueId}","queueOffset":"${offset}","maxMsgNums":"${options.batchSize}","sysFlag":"${offset > 0 ? 3 : 2}","commitOffset":"${offset}","suspendTimeoutMillis":"15000","subVersion":"0","expressionType":"TAG","maxMsgBytes":"262144","bname":"${options.broker.name}"},"flag":0,"language":"OTHER","opaque":${queueId},"serializeTypeCurrentRPC":"JSON","version":513}`
  const out = Buffer.allocUnsafe(8 + header.length)
  out.writeInt32BE(4 + header.length, 0)
  out.writeInt32BE(header.length, 4)
  out.write(header, 8, "latin1")
  return out
}

const NAME_END = "\u0001"
const VALUE_END = "\u0002"

const propertiesOf = (text: string): Record<string, string> => {
  const properties: Record<string, string> = {}
  for (let at = 0; at < text.length;) {
    const nameEnd = text.indexOf(NAME_END, at)
    const found = text.indexOf(VALUE_END, nameEnd)
    const valueEnd = found < 0 ? text.length : found
    properties[text.slice(at, nameEnd)] = text.slice(nameEnd + 1, valueEnd)
    at = valueEnd + 1
  }
  return properties
}

const longAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)

/** The message whose entry begins at `at`; hosts are of 4 bytes, the topic's length is one. */
const messageAt = (bytes: Buffer, at: number) => {
  const bodyLength = bytes.readInt32BE(at + 84)
  const topicAt = at + 88 + bodyLength + 1
  const propertiesAt = topicAt + bytes.readInt8(topicAt - 1) + 2
  return {
    storeSize: bytes.readInt32BE(at),
    bodyCRC: bytes.readInt32BE(at + 8),
    queueId: bytes.readInt32BE(at + 12),
    flag: bytes.readInt32BE(at + 16),
    queueOffset: longAt(bytes, at + 20),
    commitLogOffset: longAt(bytes, at + 28),
    sysFlag: bytes.readInt32BE(at + 36),
    bornTimestamp: longAt(bytes, at + 40),
    bornIp: bytes.readUInt32BE(at + 48),
    bornPort: bytes.readInt32BE(at + 52),
    storeTimestamp: longAt(bytes, at + 56),
    storeIp: bytes.readUInt32BE(at + 64),
    storePort: bytes.readInt32BE(at + 68),
    reconsumeTimes: bytes.readInt32BE(at + 72),
    preparedTransactionOffset: longAt(bytes, at + 76),
    body: bytes.subarray(at + 88, at + 88 + bodyLength),
    topic: bytes.toString("latin1", topicAt, propertiesAt - 2),
    properties: propertiesOf(bytes.toString("latin1", propertiesAt, propertiesAt + bytes.readInt16BE(propertiesAt - 2)))
  }
}

let handled = 0
const next = new Float64Array(options.inFlight)

const handle = (message: ReturnType<typeof messageAt>): void => {
  const expected = next[message.queueId] ?? 0
  if (message.queueOffset !== expected || message.properties["UNIQ_KEY"] === undefined) {
    throw new Error(`offset ${message.queueOffset} of queue ${message.queueId}, not ${expected}`)
  }
  next[message.queueId] = expected + 1
  handled++
}

let rest: Buffer = Buffer.alloc(0)
socket.on("data", (chunk: Buffer) => {
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  const out: Array<Buffer> = []
  let at = 0
  while (bytes.length - at >= 8) {
    const end = at + 4 + bytes.readInt32BE(at)
    if (bytes.length < end) break
    const bodyAt = at + 8 + bytes.readInt32BE(at + 4)
    const header = JSON.parse(bytes.toString("latin1", at + 8, bodyAt))
    for (let entry = bodyAt; entry < end; entry += bytes.readInt32BE(entry)) handle(messageAt(bytes, entry))
    out.push(pull(header.opaque, Number(header.extFields.nextBeginOffset)))
    at = end
  }
  rest = bytes.subarray(at)
  if (out.length > 0) socket.write(out.length === 1 ? (out[0] ?? "") : Buffer.concat(out))
})
socket.write(Buffer.concat(Array.from({ length: options.inFlight }, (_, queueId) => pull(queueId, 0))))

await measureConsumer(options, () => handled)
socket.destroy()
