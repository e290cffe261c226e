import { MQVersion } from "../../protocol/MQVersion.ts"
import * as JavaNames from "../server/JavaNames.ts"
import type { Broker } from "./Broker.ts"

/** A duration as RocketMQ writes it. Source: RocketMQ `StoreStatsService.getFormatRuntime`. */
const formatRuntime = (millis: number): string => {
  const seconds = Math.floor(millis / 1_000)
  const part = (unit: number, size: number) => Math.floor(seconds / unit) % size
  return `[ ${Math.floor(seconds / 86_400)} days, ${part(3_600, 24)} hours, ${part(60, 60)} minutes, ${part(1, 60)} seconds ]`
}

/**
 * The counters of a broker under the names that tools look for; rates and waiting times, which an embedded broker does
 * not measure, are 0.
 *
 * Source: RocketMQ `AdminBrokerProcessor.prepareRuntimeInfo`, `StoreStatsService.getRuntimeInfo`.
 */
export const table = (broker: Broker): ReadonlyMap<string, string> => {
  const { bytes, maxPhysicalOffset, messages, puts } = broker.state.store.stats()
  const pools = ["send", "pull", "litePull", "query", "ack"]
  const noRate = "0.0 0.0 0.0"
  return new Map<string, string>([
    ["brokerVersion", String(broker.config.version)],
    ["brokerVersionDesc", JavaNames.releaseName(broker.config.version)],
    ["brokerActive", "true"],
    ["bootTimestamp", String(broker.bootTimestamp())],
    ["runtime", formatRuntime(broker.now() - broker.bootTimestamp())],
    ["msgPutTotalYesterdayMorning", "0"],
    ["msgPutTotalTodayMorning", "0"],
    ["msgPutTotalTodayNow", String(puts)],
    ["msgGetTotalYesterdayMorning", "0"],
    ["msgGetTotalTodayMorning", "0"],
    ["msgGetTotalTodayNow", "0"],
    ["putMessageTimesTotal", String(puts)],
    ["putMessageSizeTotal", String(maxPhysicalOffset)],
    ["putMessageAverageSize", String(puts === 0 ? 0 : maxPhysicalOffset / puts)],
    ["putTps", noRate],
    ["getTotalTps", noRate],
    ["getFoundTps", noRate],
    ["getMissTps", noRate],
    // 4.x spells it with one r, and its tools look for that.
    [broker.config.version < MQVersion.V5_0_0 ? "getTransferedTps" : "getTransferredTps", noRate],
    ["commitLogMaxOffset", String(maxPhysicalOffset)],
    ["commitLogMinOffset", String(maxPhysicalOffset - bytes)],
    ["commitLogDiskRatio", "0.0"],
    ["consumeQueueDiskRatio", "0.0"],
    ["commitLogMessages", String(messages)],
    ["dispatchBehindBytes", "0"],
    ["pageCacheLockTimeMills", "0"],
    ["earliestMessageTimeStamp", String(messages === 0 ? -1 : broker.bootTimestamp())],
    ["timerReadBehind", "0"],
    ["timerOffsetBehind", "0"],
    ["timerCongestNum", "0"],
    ["timerEnqueueTps", "0.0"],
    ["timerDequeueTps", "0.0"],
    ...pools.flatMap((pool): ReadonlyArray<readonly [string, string]> => [
      [`${pool}ThreadPoolQueueSize`, "0"],
      [`${pool}ThreadPoolQueueCapacity`, "10000"],
      [`${pool}ThreadPoolQueueHeadWaitTimeMills`, "0"]
    ])
  ])
}
