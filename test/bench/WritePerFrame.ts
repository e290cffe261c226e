import { Effect, Layer } from "effect"
import { MQClientManager, TcpWire, Wire } from "effect-rocketmq"

/**
 * A wire that hands each frame to the socket by itself, as a client would that does not gather the frames of a turn. It
 * shows that the check against the bare program (`check.ts`) would notice.
 */

const split = (chunk: Uint8Array): ReadonlyArray<Uint8Array> => {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const frames: Array<Uint8Array> = []
  for (let at = 0; at < chunk.length;) {
    const end = at + 4 + view.getInt32(at)
    frames.push(chunk.subarray(at, end))
    at = end
  }
  return frames
}

const wire = Layer.effect(
  Wire,
  Effect.map(Wire, (tcp) =>
    Wire.of({
      ...tcp,
      connect: (address, options) =>
        Effect.map(tcp.connect(address, options), (stream) => ({
          ...stream,
          write: (chunks: ReadonlyArray<Uint8Array>) =>
            Effect.forEach(split(Buffer.concat(chunks)), (frame) => stream.write([frame]), { discard: true })
        }))
    })
  )
)

/** Client instances on that wire. */
export const manager: typeof MQClientManager.layerTcp = MQClientManager.layer.pipe(
  Layer.provide(wire),
  Layer.provide(TcpWire.layer)
)
