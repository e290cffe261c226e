/** A wire on which what servers send has another text in one place. */
import { Effect, Layer } from "effect"
import { requestCodeName } from "../../src/protocol/RequestCode.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { encode } from "../../src/protocol/Frame.ts"
import * as TopicRouteData from "../../src/protocol/TopicRouteData.ts"
import { isResponse, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import * as FrameCutter from "../../src/testing/FrameCutter.ts"
import { type ByteStream, Wire } from "../../src/transport/Wire.ts"
import { type Change, pathsOf, planted } from "./Fields.ts"

/** A text that servers send: the request that is answered or, with `push`, sent by a server, and where the text is. */
export interface Place {
  readonly command: string
  readonly path: string
}

/** What is planted, and what servers sent. */
export interface Planting {
  readonly place: Place | undefined
  readonly change: Change
  /** All texts that servers sent. */
  readonly seen: Map<string, Place>
  /** Whether topics are static ones. */
  readonly staticTopics: boolean
}

export const placeText = ({ command, path }: Place): string => `${command} ${path}`

/** A route with everything that routes of large clusters have, and those of the embedded one have not. */
const fullRoute = (command: RemotingCommand, staticTopics: boolean): RemotingCommand => {
  const route = TopicRouteData.decode(command.body)
  if (route instanceof DecodeError) return command
  const topicQueueMappingByBroker = new Map(
    route.brokerDatas.map(({ brokerName }) => [
      brokerName,
      {
        topic: "orders",
        scope: "__global__",
        totalQueues: 1,
        bname: brokerName,
        epoch: 1,
        currIdMap: new Map([[0, 0]])
      }
    ])
  )
  const full = {
    ...route,
    orderTopicConf: "broker-a:1",
    brokerDatas: route.brokerDatas.map((broker) => ({ ...broker, zoneName: "zone" })),
    filterServerTable: new Map([["127.0.0.1:10911", ["127.0.0.1:1"]]]),
    ...(staticTopics ? { topicQueueMappingByBroker } : {})
  }
  return { ...command, body: TopicRouteData.encode(full, { standardJson: true }) }
}

/** Where a frame has a text in the place of its header. */
const HEADER = "header"

/** A frame whose header is that text, and no JSON. */
const withHeader = (text: string): Uint8Array => {
  const header = Buffer.from(text)
  const start = Buffer.alloc(8)
  start.writeInt32BE(4 + header.length)
  start.writeInt32BE(header.length, 4)
  return Buffer.concat([start, header])
}

const through = (stream: ByteStream, planting: Planting): ByteStream => {
  const asked = new Map<number, string>()
  const sent = FrameCutter.make()
  const received = FrameCutter.make()
  const pass = (piece: FrameCutter.PassingFrame | Uint8Array): Uint8Array => {
    if (!("bytes" in piece)) return piece
    const { bytes, command: sentCommand } = piece
    if (sentCommand === undefined) return bytes
    const name = isResponse(sentCommand)
      ? (asked.get(sentCommand.opaque) ?? "unasked")
      : `push ${requestCodeName(sentCommand.code)}`
    const command = name === "GET_ROUTEINFO_BY_TOPIC" ? fullRoute(sentCommand, planting.staticTopics) : sentCommand
    for (const path of pathsOf(command)) planting.seen.set(`${name} ${path}`, { command: name, path })
    planting.seen.set(`${name} ${HEADER}`, { command: name, path: HEADER })
    const { place } = planting
    if (place?.path === HEADER && place.command === name) return withHeader(planting.change("{"))
    const changed =
      place !== undefined && place.command === name ? planted(command, place.path, planting.change) : command
    return encode({ ...changed, serializeType: "JSON" })
  }
  return {
    ...stream,
    write: (chunks) => {
      for (const piece of chunks.flatMap((chunk) => sent.push(chunk))) {
        if ("bytes" in piece && piece.command !== undefined && !isResponse(piece.command)) {
          asked.set(piece.command.opaque, requestCodeName(piece.command.code))
        }
      }
      return stream.write(chunks)
    },
    pull: Effect.repeat(
      Effect.map(stream.pull, (chunks) => chunks.flatMap((chunk) => received.push(chunk)).map(pass)),
      { until: (chunks) => chunks.length > 0 }
    )
  }
}

/** The context's wire, with a text planted into what is read from it. */
export const layer = (what: Planting) =>
  Layer.effect(
    Wire,
    Effect.map(Wire, (wire) =>
      Wire.of({
        ...wire,
        connect: (address, options) => Effect.map(wire.connect(address, options), (stream) => through(stream, what))
      })
    )
  )
