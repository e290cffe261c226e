import * as Net from "node:net"
import { type Counts, noCounts, readOrder } from "./SinkOrder.ts"
import { ANSWER_MESSAGES, pullAnswer, SOURCE_QUEUES, SOURCE_TOPIC } from "./Source.ts"

/**
 * A server that is name server and brokers at once and does nothing but answer: routes point at itself, a pull gets the
 * next messages of a queue without an end, every other request the answer of a stored message. It runs in a process of its
 * own, takes orders from the one that made it, and counts what it was sent and what it gave out.
 */

const header = (opaque: number, extFields: string) =>
  `{"code":0,${extFields}"flag":1,"language":"JAVA","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":513}`

/** The fields of a stored message; of a batch, with an id for each of its messages. */
const stored = (messages: number) =>
  `"extFields":{"queueId":"0","TRACE_ON":"true","MSG_REGION":"DefaultRegion","msgId":"${Array.from({ length: messages }, () => "7F00000100002A9F0000000000001000").join(",")}","transactionId":"7F0000010000000000000000000000AA","queueOffset":"12"},`

const STORED = stored(1)
const storedBatches: Array<string> = []
const storedBatch = (messages: number): string => (storedBatches[messages] ??= stored(messages))

const frame = (text: string, body: string): Buffer => {
  const headerLength = Buffer.byteLength(text)
  const bodyLength = Buffer.byteLength(body)
  const out = Buffer.allocUnsafe(8 + headerLength + bodyLength)
  out.writeInt32BE(4 + headerLength + bodyLength, 0)
  out.writeInt32BE(headerLength, 4)
  out.write(text, 8)
  out.write(body, 8 + headerLength)
  return out
}

/** A number of the header itself: values in `extFields`, which may have the same names, are in quotes. */
const number = (text: string, name: string): number => {
  const key = `"${name}":`
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + 1)) {
    const value = Number.parseInt(text.slice(at + key.length, at + key.length + 11))
    if (!Number.isNaN(value)) return value
  }
  return 0
}

let counts: Counts = noCounts()
let delayMillis = 0
let brokers = 1
/** Round trips that answers already sent took; a request that comes now may build on them. */
let answeredDepth = 0

const ports: Array<number> = []
const servers: Array<Net.Server> = []

const route = (queues: number) => {
  const names = ports.slice(0, brokers).map((port, index) => ({ port, name: index === 0 ? "sink" : `sink-${index}` }))
  const brokerDatas = names.map(
    ({ name, port }) => `{"brokerAddrs":{"0":"127.0.0.1:${port}"},"brokerName":"${name}","cluster":"sink"}`
  )
  const queueDatas = names.map(
    ({ name }) =>
      `{"brokerName":"${name}","perm":6,"readQueueNums":${queues},"topicSysFlag":0,"writeQueueNums":${queues}}`
  )
  return `{"brokerDatas":[${brokerDatas.join(",")}],"filterServerTable":{},"queueDatas":[${queueDatas.join(",")}]}`
}

/** Messages of a batch, each of which begins with its length. */
const messagesOf = (bytes: Buffer, from: number, to: number): number => {
  let messages = 0
  for (let at = from; at + 4 <= to; at += Math.max(4, bytes.readInt32BE(at))) messages++
  return messages
}

const PULL = 11
const QUERY_OFFSET = 14
const HEARTBEAT = 34
const GET_MEMBERS = 38
const GET_ROUTE = 105
const SEND_BATCH = 320
const sendCodes = new Set([10, 310, SEND_BATCH])
const QUEUES = 4
/** What a source's messages have as their body. */
const SOURCE_BODY_SIZE = 1024

/** A field of `extFields`. */
const field = (text: string, name: string): string => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1] ?? ""

/** The client that last sent a heartbeat: the one member of every group. */
let member = ""

/** The answer to a request that is no send. */
const answerOf = (code: number, opaque: number, text: string): Buffer => {
  switch (code) {
    case PULL:
      counts.messages += ANSWER_MESSAGES
      return pullAnswer(opaque, Number(field(text, "queueId")), Number(field(text, "queueOffset")), SOURCE_BODY_SIZE)
    case QUERY_OFFSET:
      return frame(header(opaque, '"extFields":{"offset":"0"},'), "")
    case GET_MEMBERS:
      return frame(header(opaque, '"extFields":{},'), JSON.stringify({ consumerIdList: [member] }))
    case GET_ROUTE: {
      const topic = field(text, "topic")
      // Nobody gives anything back: there is no retry topic.
      if (topic.startsWith("%RETRY%")) return frame(header(opaque, "").replace('"code":0', '"code":17'), "")
      return frame(header(opaque, ""), route(topic === SOURCE_TOPIC ? SOURCE_QUEUES : QUEUES))
    }
    default:
      return frame(header(opaque, STORED), "")
  }
}

const serve = (socket: Net.Socket) => {
  counts.connections++
  let rest: Buffer = Buffer.alloc(0)
  /** Bytes of a body that are still to come, and the answer to the request they belong to. */
  let skip = 0
  let owed: Buffer | undefined
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk: Buffer) => {
    const answers: Array<Buffer> = []
    let bytes = chunk
    if (skip > 0) {
      const skipped = Math.min(skip, chunk.length)
      skip -= skipped
      if (skip > 0) return
      if (owed !== undefined) answers.push(owed)
      owed = undefined
      bytes = chunk.subarray(skipped)
    } else if (rest.length > 0) bytes = Buffer.concat([rest, chunk])
    const depth = answeredDepth + 1
    let at = 0
    while (bytes.length - at >= 8) {
      const end = at + 4 + bytes.readInt32BE(at)
      const headerEnd = at + 8 + (bytes.readInt32BE(at + 4) & 0xffffff)
      if (bytes.length < headerEnd) break
      const text = bytes.toString("latin1", at + 8, headerEnd)
      const code = number(text, "code")
      // A batch and a heartbeat are looked into; any other body is not needed.
      if ((code === SEND_BATCH || code === HEARTBEAT) && bytes.length < end) break
      if (code === HEARTBEAT) member = field(bytes.toString("latin1", headerEnd, end), "clientID") || member
      const opaque = number(text, "opaque")
      counts.requests[code] = (counts.requests[code] ?? 0) + 1
      let fields = STORED
      if (sendCodes.has(code)) {
        const messages = code === SEND_BATCH ? messagesOf(bytes, headerEnd, end) : 1
        if (messages > 1) fields = storedBatch(messages)
        counts.messages += messages
        counts.firstSendDepth ??= depth
      }
      if ((number(text, "flag") & 2) === 0) {
        const answer = sendCodes.has(code) ? frame(header(opaque, fields), "") : answerOf(code, opaque, text)
        if (bytes.length >= end) answers.push(answer)
        else owed = answer
      }
      if (bytes.length < end) skip = end - bytes.length
      at = end
    }
    rest = skip > 0 ? Buffer.alloc(0) : bytes.subarray(at)
    if (answers.length === 0) return
    const answer = () => {
      answeredDepth = Math.max(answeredDepth, depth)
      socket.write(answers.length === 1 ? (answers[0] ?? "") : Buffer.concat(answers))
    }
    if (delayMillis === 0) answer()
    else setTimeout(answer, delayMillis)
  })
}

const listen = async () => {
  while (servers.length < brokers) {
    const server = Net.createServer({ noDelay: true }, serve)
    servers.push(server)
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    if (address !== null && typeof address === "object") ports.push(address.port)
  }
}

let cpu = process.cpuUsage()

const obey = async (text: unknown) => {
  const order = readOrder(text)
  brokers = order.brokers
  delayMillis = order.delayMillis
  await listen()
  const used = process.cpuUsage(cpu)
  const before = { ...counts, cpuSeconds: (used.user + used.system) / 1e6 }
  counts = noCounts()
  cpu = process.cpuUsage()
  answeredDepth = 0
  process.send?.({ address: `127.0.0.1:${ports[0] ?? 0}`, counts: before })
}

process.on("message", (order) => void obey(order))
// The one that made it has ended.
process.on("disconnect", () => process.exit(0))
