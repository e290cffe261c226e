import { addressBytes } from "../../message/HostAddress.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"

/** Addresses and release numbers as Java writes them in remarks and bodies. */

/** A host as Java writes it: the eight groups of an IPv6 address without any left out. */
const hostText = (host: string): string => {
  const ip = host.startsWith("[") ? addressBytes(host) : undefined
  if (ip?.length !== 16) return host
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((ip[index * 2] ?? 0) << 8) | (ip[index * 2 + 1] ?? 0)).toString(16)
  )
  return `[${groups.join(":")}]`
}

/** The address of a client, `host:port`. Source: RocketMQ `RemotingHelper.parseChannelRemoteAddr`. */
export const remoteAddress = (address: string): string => {
  const at = address.lastIndexOf(":")
  return `${hostText(address.slice(0, at))}${address.slice(at)}`
}

/** The same with the slash behind a name that there is none of. Source: Java `InetSocketAddress.toString`. */
export const socketAddress = (address: string): string => `/${remoteAddress(address)}`

const releases = (line: string, first: number, last: number): ReadonlyArray<string> =>
  Array.from({ length: last - first + 1 }, (_, index) => `${line}_${first + index}`).flatMap((release) => [
    `${release}_SNAPSHOT`,
    release
  ])

/** The releases up to 3.1.8, in the order of their numbers. */
const early: ReadonlyArray<string> = [
  "V3_0_0_SNAPSHOT",
  "V3_0_0_ALPHA1",
  ...[1, 2, 3, 4, 5].map((beta) => `V3_0_0_BETA${beta}`),
  ...[6, 7, 8, 9].flatMap((beta) => [`V3_0_0_BETA${beta}_SNAPSHOT`, `V3_0_0_BETA${beta}`]),
  "V3_0_0_FINAL",
  ...releases("V3_0", 1, 15),
  ...releases("V3_1", 0, 8)
]

const later: ReadonlyMap<number, string> = new Map(
  Object.entries(MQVersion).flatMap(([name, value]) => (name === "CURRENT" ? [] : [[value, name]]))
)

/** The number of the first release of clients that answer their broker. Source: RocketMQ `MQVersion`. */
export const V3_1_8_SNAPSHOT = 62

/** The number of the first release of clients that can be told of a reset, or asked for their offsets. */
export const V3_0_7_SNAPSHOT = early.indexOf("V3_0_7_SNAPSHOT")

/** How many releases there are. */
export const RELEASES = 613

/** The name of a release; those between 3.1.8 and 5.5.0 that nobody asks for are not told apart. Source: `MQVersion`. */
export const releaseName = (version: number): string => early[version] ?? later.get(version) ?? "HIGHER_VERSION"
