import { readdirSync, readFileSync } from "node:fs"
import { makeFrameDecoder } from "../../src/protocol/Frame.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"

/** A stored message as the recorder decoded it; 64-bit values are texts. */
export interface GoldenMessage {
  readonly totalSize: number
  readonly bodyCRC: number
  readonly queueId: number
  readonly flag: number
  readonly queueOffset: string
  readonly physicalOffset: string
  readonly sysFlag: number
  readonly bornTimestamp: string
  readonly bornHost: string
  readonly bornPort: number
  readonly storeTimestamp: string
  readonly storeHost: string
  readonly storePort: number
  readonly offsetMsgId?: string
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset: string
  readonly bodyHex?: string
  readonly bodyText?: string
  readonly topic: string
  readonly propertiesString: string
  readonly properties: Readonly<Record<string, string>>
}

/** One recorded frame with what the recorder made of it. */
export interface GoldenFrame {
  readonly name: string
  readonly hex: string
  readonly source: string
  readonly decoded: {
    readonly totalLength: number
    readonly serializeType: "JSON" | "ROCKETMQ"
    readonly headerLength: number
    readonly kind: "request" | "oneway-request" | "response"
    readonly code: number
    readonly header: {
      readonly language: string | number
      readonly version: number
      readonly opaque: number
      readonly flag: number
      readonly remark?: string | null
      readonly extFields?: Readonly<Record<string, string>> | null
    }
    readonly bodyLength: number
    readonly bodyText?: string
    readonly bodyHex?: string
    readonly storedMessages?: ReadonlyArray<GoldenMessage>
    readonly batch?: ReadonlyArray<{
      readonly totalSize: number
      readonly flag: number
      readonly bodyText: string
      readonly propertiesString: string
    }>
  }
}

const folder = new URL("../golden/", import.meta.url)

/** The names of all recorded frames. */
export const goldenNames: ReadonlyArray<string> = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -5))

/** Reads a recorded frame. */
export const golden = (name: string): GoldenFrame => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"))

/** The bytes of a recorded frame, with the length field. */
export const goldenBytes = (frame: GoldenFrame): Uint8Array => Uint8Array.from(Buffer.from(frame.hex, "hex"))

/** The frame decoded by the library. */
export const goldenCommand = (frame: GoldenFrame): RemotingCommand => {
  const { commands, error } = makeFrameDecoder().push(goldenBytes(frame))
  const [command] = commands
  if (command === undefined || commands.length !== 1) throw error ?? new Error(`${frame.name} is not one frame`)
  return command
}
