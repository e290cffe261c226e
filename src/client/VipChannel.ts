import { Effect } from "effect"
import { RequestCode } from "../protocol/RequestCode.ts"
import * as Address from "../transport/Address.ts"
import type { RemotingClient } from "../transport/RemotingClient.ts"

/** How far below its port a broker's second listener is. */
const DISTANCE = 2

/**
 * What stays on a broker's own port: heartbeats and what belongs to a group's membership, the end of a transaction, and
 * what the second listener does not serve (pulls and pops).
 */
const ownPort: ReadonlySet<number> = new Set<number>([
  RequestCode.HEART_BEAT,
  RequestCode.UNREGISTER_CLIENT,
  RequestCode.END_TRANSACTION,
  RequestCode.PULL_MESSAGE,
  RequestCode.LITE_PULL_MESSAGE,
  RequestCode.POP_MESSAGE,
  RequestCode.PEEK_MESSAGE,
  RequestCode.ACK_MESSAGE,
  RequestCode.BATCH_ACK_MESSAGE,
  RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
  RequestCode.NOTIFICATION,
  RequestCode.POLLING_INFO
])

/** A broker's address with the port of its second listener; the address as it is when it is none. */
export const vipAddress = (address: string): string => {
  const parsed = Address.parse(address)
  return "_tag" in parsed || parsed.port <= DISTANCE
    ? address
    : Address.format({ host: parsed.host, port: parsed.port - DISTANCE })
}

/**
 * A remoting client that sends to the brokers' second listener, the "VIP channel", which has threads of its own.
 * `isBroker` tells a broker's address from a name server's.
 *
 * Source: RocketMQ `MixAll.brokerVIPChannel`, `ClientConfig.vipChannelEnabled`.
 */
export const make = (remoting: RemotingClient, isBroker: (address: string) => boolean): RemotingClient => {
  const target = (address: string, code: number) =>
    ownPort.has(code) || !isBroker(address) ? address : vipAddress(address)
  return {
    ...remoting,
    start: (address, request, timeoutMillis, resume) =>
      remoting.start(target(address, request.code), request, timeoutMillis, resume),
    startOneway: (address, request, timeoutMillis, resume) =>
      remoting.startOneway(target(address, request.code), request, timeoutMillis, resume),
    closeAddress: (address) =>
      isBroker(address)
        ? Effect.andThen(remoting.closeAddress(vipAddress(address)), remoting.closeAddress(address))
        : remoting.closeAddress(address),
    retain: (addresses) => {
      const all = new Set(addresses)
      for (const address of addresses) if (isBroker(address)) all.add(vipAddress(address))
      return remoting.retain(all)
    }
  }
}
