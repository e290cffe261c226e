/** The few requests the rig itself sends, written apart from `src` so that the rig cannot share a bug with it. */
import { Effect } from "effect"
import * as Net from "node:net"

/** An answer to a raw request. */
export interface RawResponse {
  readonly code: number
  readonly remark: string | undefined
  readonly extFields: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** A raw request; language and version as the header carries them, "JAVA" and 513 when not given. */
export interface RawRequest {
  readonly code: number
  readonly extFields?: Readonly<Record<string, string>> | undefined
  readonly language?: string
  readonly version?: number
  readonly body?: Uint8Array | undefined
  /** Changes the bytes of the header, which is JSON, before they are sent. */
  readonly spoil?: (header: Buffer) => Buffer
}

/**
 * Sends one request on a connection of its own and gives the answer, or undefined when none came in time or the
 * connection failed. Frame: length (4), header length (4, high byte 0 for JSON), header, body.
 */
export const request = (
  address: string,
  { body = new Uint8Array(0), code, extFields = {}, language = "JAVA", spoil, version = 513 }: RawRequest,
  timeoutMillis = 2000
): Effect.Effect<RawResponse | undefined> =>
  Effect.callback<RawResponse | undefined>((resume) => {
    const colon = address.lastIndexOf(":")
    const socket = Net.connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) })
    const done = (response: RawResponse | undefined) => {
      socket.destroy()
      resume(Effect.succeed(response))
    }
    const whole = Buffer.from(
      JSON.stringify({ code, language, version, opaque: 1, flag: 0, serializeTypeCurrentRPC: "JSON", extFields })
    )
    const header = spoil === undefined ? whole : spoil(whole)
    const prefix = Buffer.alloc(8)
    prefix.writeUInt32BE(4 + header.length + body.length, 0)
    prefix.writeUInt32BE(header.length, 4)
    let received = Buffer.alloc(0)
    socket.setTimeout(timeoutMillis, () => done(undefined))
    socket.once("error", () => done(undefined))
    socket.once("close", () => done(undefined))
    socket.once("connect", () => socket.write(Buffer.concat([prefix, header, body])))
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 8 || received.length < 4 + received.readUInt32BE(0)) return
      const headerEnd = 8 + (received.readUInt32BE(4) & 0xffffff)
      const answer: { code: number; remark?: string; extFields?: Record<string, string> } = JSON.parse(
        received.toString("utf8", 8, headerEnd)
      )
      const end = 4 + received.readUInt32BE(0)
      done({
        code: answer.code,
        remark: answer.remark,
        extFields: answer.extFields ?? {},
        body: received.subarray(headerEnd, end)
      })
    })
    return Effect.sync(() => socket.destroy())
  })

/** A broker of a route: its cluster, its name and its addresses by broker id. */
export interface RouteBroker {
  readonly cluster: string
  readonly brokerName: string
  readonly brokerAddrs: Readonly<Record<string, string>>
}

/** The brokers of a topic's route as one name server has it; empty when it has none or does not answer. */
export const routeBrokers = (namesrvAddress: string, topic: string): Effect.Effect<ReadonlyArray<RouteBroker>> =>
  request(namesrvAddress, { code: 105, extFields: { topic, acceptStandardJsonOnly: "true" } }).pipe(
    Effect.map((response) => {
      if (response?.code !== 0) return []
      const route: { brokerDatas?: ReadonlyArray<RouteBroker> } = JSON.parse(response.body.toString("utf8"))
      return route.brokerDatas ?? []
    })
  )
