import * as MixAll from "../../message/MixAll.ts"
import type { ClusterInfo } from "../../protocol/ClusterInfo.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import type { BrokerData, QueueData, TopicRouteData } from "../../protocol/TopicRouteData.ts"

/** A broker as a name server knows it. */
export interface BrokerRegistration {
  readonly clusterName: string
  readonly brokerName: string
  readonly brokerId: number
  readonly address: string
  readonly enableActingMaster?: boolean | undefined
}

/** Which brokers exist and which topics they serve, as one name server knows it. Source: RocketMQ `RouteInfoManager`. */
export interface RouteInfo {
  /** Adds or refreshes a broker; a master brings its topics. */
  readonly register: (broker: BrokerRegistration, topics: ReadonlyArray<TopicConfig>) => void
  /** Takes a broker out of every route; what nobody serves any more disappears. */
  readonly unregister: (brokerName: string, brokerId: number, address: string) => void
  /** The route of a topic, or `undefined` when no broker serves it. */
  readonly route: (topic: string) => TopicRouteData | undefined
  /** Forgets a topic, on the brokers of one cluster when it is named. */
  readonly deleteTopic: (topic: string, clusterName?: string) => void
  readonly topics: () => ReadonlyArray<string>
  readonly topicsByCluster: (clusterName: string) => ReadonlyArray<string>
  /** The names of clusters and brokers, which are topics too, and the address of some broker. */
  readonly systemTopics: () => { readonly topics: ReadonlyArray<string>; readonly brokerAddr: string | undefined }
  readonly clusterInfo: () => ClusterInfo
  readonly broker: (brokerName: string) => BrokerData | undefined
  /** Takes (`false`) or gives (`true`) the write permission of all topics of a broker; returns how many it touched. */
  readonly setWritePerm: (brokerName: string, writable: boolean) => number
  readonly clear: () => void
}

interface Broker {
  readonly cluster: string
  readonly brokerName: string
  readonly addresses: Map<number, string>
  readonly enableActingMaster: boolean
}

const brokerData = (broker: Broker): BrokerData => ({
  cluster: broker.cluster,
  brokerName: broker.brokerName,
  brokerAddrs: new Map(broker.addresses),
  enableActingMaster: broker.enableActingMaster
})

/** Builds an empty table. */
export const make = (): RouteInfo => {
  /** topic -> broker name -> queues */
  const topicTable = new Map<string, Map<string, QueueData>>()
  const brokers = new Map<string, Broker>()

  const removeQueues = (topic: string, brokerName: string): void => {
    const queues = topicTable.get(topic)
    if (queues?.delete(brokerName) === true && queues.size === 0) topicTable.delete(topic)
  }

  return {
    register: ({ address, brokerId, brokerName, clusterName, enableActingMaster }, topics) => {
      const known = brokers.get(brokerName)
      const broker: Broker = known ?? {
        cluster: clusterName,
        brokerName,
        addresses: new Map(),
        enableActingMaster: enableActingMaster ?? false
      }
      if (known === undefined) brokers.set(brokerName, broker)
      // A broker that came back under another id leaves its old one.
      for (const [id, other] of broker.addresses) if (other === address && id !== brokerId) broker.addresses.delete(id)
      broker.addresses.set(brokerId, address)
      if (brokerId !== MixAll.MASTER_ID) return
      for (const config of topics) {
        const queues = topicTable.get(config.topicName)
        const data: QueueData = {
          brokerName,
          readQueueNums: config.readQueueNums,
          writeQueueNums: config.writeQueueNums,
          perm: config.perm,
          topicSysFlag: config.topicSysFlag
        }
        if (queues === undefined) topicTable.set(config.topicName, new Map([[brokerName, data]]))
        else queues.set(brokerName, data)
      }
    },
    unregister: (brokerName, brokerId, address) => {
      const broker = brokers.get(brokerName)
      if (broker === undefined || broker.addresses.get(brokerId) !== address) return
      broker.addresses.delete(brokerId)
      if (broker.addresses.size > 0) return
      brokers.delete(brokerName)
      for (const topic of topicTable.keys()) removeQueues(topic, brokerName)
    },
    route: (topic) => {
      const queues = topicTable.get(topic)
      if (queues === undefined) return undefined
      const found: Array<BrokerData> = []
      for (const brokerName of queues.keys()) {
        const broker = brokers.get(brokerName)
        if (broker !== undefined) found.push(brokerData(broker))
      }
      if (found.length === 0) return undefined
      return { queueDatas: [...queues.values()], brokerDatas: found, filterServerTable: new Map() }
    },
    deleteTopic: (topic, clusterName) => {
      if (clusterName === undefined || clusterName === "") {
        topicTable.delete(topic)
        return
      }
      for (const broker of brokers.values()) {
        if (broker.cluster === clusterName) removeQueues(topic, broker.brokerName)
      }
    },
    topics: () => [...topicTable.keys()],
    topicsByCluster: (clusterName) =>
      [...topicTable]
        .filter(([, queues]) => [...queues.keys()].some((name) => brokers.get(name)?.cluster === clusterName))
        .map(([topic]) => topic),
    systemTopics: () => {
      const names = new Set<string>()
      let address: string | undefined
      for (const broker of brokers.values()) {
        names.add(broker.cluster).add(broker.brokerName)
        address ??= broker.addresses.values().next().value
      }
      return { topics: [...names], brokerAddr: address }
    },
    clusterInfo: () => {
      const brokerAddrTable = new Map<string, BrokerData>()
      const clusterAddrTable = new Map<string, Array<string>>()
      for (const broker of brokers.values()) {
        brokerAddrTable.set(broker.brokerName, brokerData(broker))
        const names = clusterAddrTable.get(broker.cluster)
        if (names === undefined) clusterAddrTable.set(broker.cluster, [broker.brokerName])
        else names.push(broker.brokerName)
      }
      return { brokerAddrTable, clusterAddrTable }
    },
    broker: (brokerName) => {
      const broker = brokers.get(brokerName)
      return broker === undefined ? undefined : brokerData(broker)
    },
    setWritePerm: (brokerName, writable) => {
      let touched = 0
      for (const queues of topicTable.values()) {
        const data = queues.get(brokerName)
        if (data === undefined) continue
        touched += 1
        const perm = writable ? data.perm | MixAll.PermName.WRITE : data.perm & ~MixAll.PermName.WRITE
        queues.set(brokerName, { ...data, perm })
      }
      return touched
    },
    clear: () => {
      topicTable.clear()
      brokers.clear()
    }
  }
}
