import * as Net from "node:net"
import { measure, type Meter, type Phase } from "./Meter.ts"
import { task } from "./Task.ts"

/**
 * The limit: a bare node:net program that writes ready-made frames, all those of a turn in one write, and does nothing
 * with an answer but count it.
 */

const options = task()
const colon = options.broker.address.lastIndexOf(":")
const ONEWAY = 2

const frame = (code: number, flag: number, opaque: number, batch: boolean, body: Buffer): Buffer => {
  const properties = batch
    ? "WAIT\\u0001true\\u0002"
    : "UNIQ_KEY\\u0001C000020276758F52A6A174B2BC600001\\u0002WAIT\\u0001true\\u0002"
  const header = Buffer.from(
    `{"code":${code},"extFields":{"a":"bench-pg","b":"${options.topic}","c":"TBW102","d":"4","e":"${opaque % 4}","f":"0","g":"${Date.now()}","h":"0","i":"${properties}","j":"0","k":"false","m":"${batch}","n":"${options.broker.name}"},"flag":${flag},"language":"OTHER","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":513}`
  )
  const out = Buffer.alloc(8)
  out.writeInt32BE(4 + header.length + body.length, 0)
  out.writeInt32BE(header.length, 4)
  return Buffer.concat([out, header, body])
}

/** Message: length of all, magic, CRC (0), flag, body length, body, properties length, properties. */
const batched = (body: Buffer): Buffer => {
  const properties = Buffer.from("UNIQ_KEY\u0001C000020276758F52A6A174B2BC600001\u0002WAIT\u0001true\u0002")
  const out = Buffer.alloc(22 + body.length + properties.length)
  out.writeInt32BE(out.length, 0)
  out.writeInt32BE(body.length, 16)
  body.copy(out, 20)
  out.writeInt16BE(properties.length, 20 + body.length)
  properties.copy(out, 22 + body.length)
  return out
}

const readyFrames = ({ batchSize, bodySize, inFlight, kind }: Phase): ReadonlyArray<Buffer> => {
  const body = Buffer.alloc(bodySize, "x")
  const batch = kind === "batch" || kind === "auto"
  const content = batch ? Buffer.concat(Array.from({ length: batchSize }, () => batched(body))) : body
  return Array.from({ length: inFlight }, (_, index) =>
    frame(batch ? 320 : 310, kind === "oneway" ? ONEWAY : 0, 100_000 + index, batch, content)
  )
}

const socket = Net.connect({
  host: options.broker.address.slice(0, colon),
  port: Number(options.broker.address.slice(colon + 1)),
  noDelay: true
})
await new Promise<void>((resolve, reject) => void socket.once("connect", resolve).once("error", reject))

let onAnswers: (count: number) => void = () => {}
let rest: Buffer = Buffer.alloc(0)
socket.on("data", (chunk: Buffer) => {
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  let at = 0
  let count = 0
  while (bytes.length - at >= 4) {
    const length = bytes.readInt32BE(at)
    if (bytes.length - at - 4 < length) break
    at += 4 + length
    count++
  }
  rest = bytes.subarray(at)
  onAnswers(count)
})

// From here on, copying frames into one buffer takes longer than handing each to the system.
const LARGE = 16_384

/** One write, of one buffer or of many. */
const writeAll = (frames: ReadonlyArray<Buffer>): void => {
  const [first] = frames
  if (first === undefined) return
  if (frames.length === 1) socket.write(first)
  else if (first.length < LARGE) socket.write(Buffer.concat([...frames]))
  else {
    socket.cork()
    for (const one of frames) socket.write(one)
    socket.uncork()
  }
}

/** Requests that are answered: as many leave as answers came. */
const runAnswered = (phase: Phase, meter: Meter): Promise<void> =>
  new Promise((resolve) => {
    const ready = readyFrames(phase)
    const size = phase.kind === "send" ? 1 : phase.batchSize
    const began: Array<number> = []
    let sent = 0
    let answered = 0
    const pump = (count: number) => {
      const out: Array<Buffer> = []
      for (let i = 0; i < count; i++) {
        const now = meter.begin(size)
        if (now < 0) break
        began[sent % phase.inFlight] = now
        out.push(ready[sent++ % ready.length] ?? Buffer.alloc(0))
      }
      writeAll(out)
    }
    onAnswers = (count) => {
      for (let i = 0; i < count; i++) meter.done(began[answered++ % phase.inFlight] ?? 0, size)
      pump(count)
      if (answered === sent) resolve()
    }
    pump(phase.inFlight)
    // On a machine that stands still, a phase can be over before it begins.
    if (sent === 0) resolve()
  })

/** One-way messages, as many in a write as others have in flight; the last of each slice is answered. */
const runOneway = async (phase: Phase, meter: Meter): Promise<void> => {
  const ready = readyFrames(phase)
  const all = Buffer.concat([...ready])
  const answeredOne = readyFrames({ ...phase, kind: "send", inFlight: 1 })[0] ?? Buffer.alloc(0)
  const writes = Math.ceil(phase.slice / ready.length)
  for (;;) {
    const now = meter.begin(writes * ready.length + 1)
    if (now < 0) return
    for (let i = 0; i < writes; i++) {
      if (!socket.write(all)) await new Promise<void>((resolve) => void socket.once("drain", resolve))
      meter.done(now, ready.length)
    }
    const answered = new Promise<void>((resolve) => void (onAnswers = () => resolve()))
    socket.write(answeredOne)
    await answered
    meter.done(now, 1)
  }
}

// What others batch by themselves leaves in batches here, of as many messages in all.
const asSent = (phase: Phase): Phase =>
  phase.kind === "auto" ? { ...phase, inFlight: Math.ceil(phase.inFlight / phase.batchSize) } : phase

await measure(options, 0, (phase, meter) =>
  phase.kind === "oneway" ? runOneway(phase, meter) : runAnswered(asSent(phase), meter)
)
socket.destroy()
