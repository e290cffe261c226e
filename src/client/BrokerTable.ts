import { MASTER_ID } from "../message/MixAll.ts"
import type { AddressRefused } from "./AddressRefused.ts"

/** A broker as a route names it. */
export interface BrokerId {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** 0 is the master. */
  readonly brokerId: number
}

/** Where a broker is to be read from. */
export interface SubscribeAddress {
  /** `host:port`, translated. */
  readonly address: string
  /** Whether it is a slave's. */
  readonly slave: boolean
}

/** The addresses of the brokers that the routes of an instance name (Java `brokerAddrTable`). */
export interface BrokerTable {
  /** Broker name -> broker id -> address, translated. */
  readonly addresses: ReadonlyMap<string, ReadonlyMap<number, string>>
  /** Takes what a route says of a broker: the addresses that may be dialled, and those that may not. */
  readonly set: (
    brokerName: string,
    addresses: ReadonlyMap<number, string>,
    refused: ReadonlyMap<number, AddressRefused>
  ) => void
  /** The addresses of a broker that are not dialled, and why, by broker id. */
  readonly refusedOf: (brokerName: string) => ReadonlyMap<number, AddressRefused> | undefined
  /** Forgets the brokers that are not in `named`; gives the addresses of those that are left. */
  readonly retain: (named: ReadonlySet<string>) => ReadonlySet<string>
  /** The broker that has an address; the one that was named first, where two have it. */
  readonly brokerOf: (address: string) => BrokerId | undefined
  /** The address of a broker's master: where messages are sent to. Source: RocketMQ `findBrokerAddressInPublish`. */
  readonly findBrokerAddressInPublish: (brokerName: string) => string | undefined
  /**
   * Where a queue of a broker is read from: the address of the broker with `brokerId`; where a slave is not there, of the
   * one with the next id; and unless `onlyThisBroker`, of any that is there.
   *
   * Source: RocketMQ `MQClientInstance.findBrokerAddressInSubscribe`.
   */
  readonly findBrokerAddressInSubscribe: (
    brokerName: string,
    brokerId: number,
    onlyThisBroker: boolean
  ) => SubscribeAddress | undefined
}

const sameAddresses = (a: ReadonlyMap<number, string> | undefined, b: ReadonlyMap<number, string>): boolean => {
  if (a === undefined || a.size !== b.size) return false
  for (const [id, address] of b) if (a.get(id) !== address) return false
  return true
}

/** An empty table. */
export const make = (): BrokerTable => {
  const addresses = new Map<string, ReadonlyMap<number, string>>()
  const refused = new Map<string, ReadonlyMap<number, AddressRefused>>()
  /** Address -> broker, made anew at the first question after a change: routes come with every poll, changes rarely. */
  let owners: Map<string, BrokerId> | undefined

  const ownersNow = (): ReadonlyMap<string, BrokerId> => {
    if (owners !== undefined) return owners
    owners = new Map()
    for (const [brokerName, byId] of addresses) {
      for (const [brokerId, address] of byId) if (!owners.has(address)) owners.set(address, { brokerName, brokerId })
    }
    return owners
  }

  return {
    addresses,
    set: (brokerName, byId, notDialled) => {
      if (notDialled.size > 0) refused.set(brokerName, notDialled)
      else refused.delete(brokerName)
      if (sameAddresses(addresses.get(brokerName), byId)) return
      addresses.set(brokerName, byId)
      owners = undefined
    },
    refusedOf: (brokerName) => refused.get(brokerName),
    retain: (named) => {
      const left = new Set<string>()
      for (const [brokerName, byId] of addresses) {
        if (named.has(brokerName)) {
          for (const address of byId.values()) left.add(address)
        } else {
          addresses.delete(brokerName)
          refused.delete(brokerName)
          owners = undefined
        }
      }
      return left
    },
    brokerOf: (address) => ownersNow().get(address),
    findBrokerAddressInPublish: (brokerName) => addresses.get(brokerName)?.get(MASTER_ID),
    findBrokerAddressInSubscribe: (brokerName, brokerId, onlyThisBroker) => {
      const byId = addresses.get(brokerName)
      const own = byId?.get(brokerId)
      if (own !== undefined) return { address: own, slave: brokerId !== MASTER_ID }
      const next = brokerId === MASTER_ID ? undefined : byId?.get(brokerId + 1)
      if (next !== undefined) return { address: next, slave: true }
      const [first] = onlyThisBroker ? [] : (byId ?? [])
      return first === undefined ? undefined : { address: first[1], slave: first[0] !== MASTER_ID }
    }
  }
}
