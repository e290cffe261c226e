import * as Net from "node:net"
import { measure, task } from "./Measure.ts"

/**
 * The limit: a bare node:net program that writes ready-made frames, all those of a turn in one write, and does nothing
 * with an answer but count it.
 */

const options = task()
const [host = "127.0.0.1", port = "0"] = options.address.split(":")

const ready = Array.from({ length: options.inFlight }, (_, index) => {
  const header = Buffer.from(
    `{"code":310,"extFields":{"a":"bench-pg","b":"bench","c":"TBW102","d":"4","e":"0","f":"0","g":"1795448740995","h":"0","i":"UNIQ_KEY\\u0001C000020276758F52A6A174B2BC600001\\u0002WAIT\\u0001true\\u0002","j":"0","k":"false","m":"false","n":"sink"},"flag":0,"language":"OTHER","opaque":${100_000 + index},"serializeTypeCurrentRPC":"JSON","version":513}`
  )
  const out = Buffer.alloc(8 + header.length + options.bodySize, "x")
  out.writeInt32BE(4 + header.length + options.bodySize, 0)
  out.writeInt32BE(header.length, 4)
  header.copy(out, 8)
  return out
})

const socket = Net.connect({ host, port: Number(port), noDelay: true })
await new Promise<void>((resolve) => void socket.once("connect", resolve))

const run = (count: number, latencies: Float64Array): Promise<number> =>
  new Promise((resolve) => {
    let sent = 0
    let answered = 0
    let rest: Buffer = Buffer.alloc(0)
    const began = new Float64Array(count)
    const pump = (n: number) => {
      const now = performance.now()
      const out: Array<Buffer> = []
      for (let i = 0; i < n && sent < count; i++) {
        began[sent] = now
        out.push(ready[sent++ % ready.length] ?? Buffer.alloc(0))
      }
      if (out.length > 0) socket.write(out.length === 1 ? (out[0] ?? "") : Buffer.concat(out))
    }
    const onData = (chunk: Buffer) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const now = performance.now()
      let at = 0
      let n = 0
      while (bytes.length - at >= 4) {
        const length = bytes.readInt32BE(at)
        if (bytes.length - at - 4 < length) break
        at += 4 + length
        latencies[answered] = now - (began[answered] ?? now)
        answered++
        n++
      }
      rest = bytes.subarray(at)
      if (answered < count) return pump(n)
      socket.off("data", onData)
      resolve(0)
    }
    socket.on("data", onData)
    pump(options.inFlight)
  })

await measure(options, undefined, run)
socket.destroy()
