import { decodeFrame, MAX_FRAME_LENGTH } from "../protocol/Frame.ts"
import type { RemotingCommand } from "../protocol/RemotingCommand.ts"

/** A frame on its way: its place in its direction since the toxic came, its bytes, and what it says if it can be read. */
export interface PassingFrame {
  /** 0 for the first frame that the toxic saw on the connection. */
  readonly index: number
  /** The whole frame, the length in front included. */
  readonly bytes: Uint8Array
  /** The command; undefined when the frame is none. */
  readonly command: RemotingCommand | undefined
}

const LENGTH_SIZE = 4

/** Cuts a stream into frames: gives the pieces that are complete, and keeps the rest. */
export interface FrameCutter {
  readonly push: (chunk: Uint8Array) => ReadonlyArray<PassingFrame | Uint8Array>
  /** What is left of a frame that is not complete. */
  readonly takeRest: () => Uint8Array
}

/** Makes a {@link FrameCutter}. Once it has seen something that is no frame, everything passes as it is. */
export const make = (): FrameCutter => {
  let rest: Uint8Array = new Uint8Array(0)
  let index = 0
  let broken = false
  return {
    push: (chunk) => {
      if (broken) return [chunk]
      let left = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const pieces: Array<PassingFrame | Uint8Array> = []
      while (left.length >= LENGTH_SIZE) {
        const length = new DataView(left.buffer, left.byteOffset).getInt32(0)
        if (length < 0 || length > MAX_FRAME_LENGTH) {
          broken = true
          pieces.push(left)
          left = new Uint8Array(0)
          break
        }
        const end = LENGTH_SIZE + length
        if (left.length < end) break
        const command = decodeFrame(left.subarray(LENGTH_SIZE, end))
        pieces.push({
          index: index++,
          bytes: left.subarray(0, end),
          command: "_tag" in command ? undefined : command
        })
        left = left.subarray(end)
      }
      rest = left
      return pieces
    },
    takeRest: () => {
      const taken = rest
      rest = new Uint8Array(0)
      return taken
    }
  }
}
