import * as Net from "node:net"

/**
 * A server that is name server and broker at once and does nothing but answer: routes point at itself, every other
 * request gets the answer of a stored message. It runs in a process of its own; its address goes to standard output.
 */

const header = (opaque: number, extFields: string) =>
  `{"code":0,${extFields}"flag":1,"language":"JAVA","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":513}`

const STORED =
  '"extFields":{"queueId":"0","TRACE_ON":"true","MSG_REGION":"DefaultRegion","msgId":"7F00000100002A9F0000000000001000","transactionId":"7F0000010000000000000000000000AA","queueOffset":"12"},'

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

const number = (text: string, name: string): number => {
  const at = text.lastIndexOf(`"${name}":`) + name.length + 3
  return Number.parseInt(text.slice(at, at + 11))
}

const server = Net.createServer({ noDelay: true }, (socket) => {
  const address = `127.0.0.1:${socket.localPort}`
  const route = `{"brokerDatas":[{"brokerAddrs":{"0":"${address}"},"brokerName":"sink","cluster":"sink"}],"filterServerTable":{},"queueDatas":[{"brokerName":"sink","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}`
  let rest: Buffer = Buffer.alloc(0)
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const answers: Array<Buffer> = []
    let at = 0
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at)
      if (bytes.length - at - 4 < length) break
      const headerEnd = at + 8 + (bytes.readInt32BE(at + 4) & 0xffffff)
      const text = bytes.toString("latin1", at + 8, headerEnd)
      const opaque = number(text, "opaque")
      const oneway = (number(text, "flag") & 2) !== 0
      if (!oneway) {
        answers.push(
          number(text.slice(0, 12), "code") === 105
            ? frame(header(opaque, ""), route)
            : frame(header(opaque, STORED), "")
        )
      }
      at += 4 + length
    }
    rest = bytes.subarray(at)
    if (answers.length > 0) socket.write(Buffer.concat(answers))
  })
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address !== null && typeof address === "object") process.stdout.write(`127.0.0.1:${address.port}\n`)
})
process.stdin.on("end", () => process.exit(0)).resume()
