// The least that a Node program can take to a first acknowledgement: one frame to the broker, no route asked for.
import * as Net from "node:net"

const task = JSON.parse(process.argv[2] ?? "")
const [host = "", port = ""] = task.broker.address.split(":")
const header = Buffer.from(
  `{"code":310,"extFields":{"a":"bench-pg","b":"${task.topic}","c":"TBW102","d":"4","e":"0","f":"0","g":"${Date.now()}","h":"0","i":"WAIT\\u0001true\\u0002","j":"0","k":"false","m":"false","n":"${task.broker.name}"},"flag":0,"language":"OTHER","opaque":1,"serializeTypeCurrentRPC":"JSON","version":513}`
)
const frame = Buffer.alloc(8 + header.length + task.bodySize, "x")
frame.writeInt32BE(frame.length - 4, 0)
frame.writeInt32BE(header.length, 4)
header.copy(frame, 8)

const begin = performance.now()
const socket = Net.connect({ host, port: Number(port), noDelay: true })
await new Promise((resolve) => socket.once("connect", resolve))
const startMillis = performance.now() - begin
const answered = new Promise((resolve) => socket.once("data", resolve))
socket.write(frame)
await answered
process.stdout.write(`${JSON.stringify({ startMillis, startToFirstAckMillis: performance.now() - begin })}\n`)
socket.destroy()
