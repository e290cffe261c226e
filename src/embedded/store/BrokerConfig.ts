import * as MixAll from "../../message/MixAll.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { type Setting, withText } from "../server/Settings.ts"
import { DEFAULT_MESSAGE_DELAY_LEVEL } from "./DelayLevels.ts"

/** Settings of one embedded broker, by their RocketMQ names. Source: RocketMQ `BrokerConfig`, `MessageStoreConfig`. */
export interface BrokerConfig {
  /** What the broker as a whole allows, bits of `PermName`; default 6 (read and write). */
  readonly brokerPermission: number
  /** Whether a send to an unknown topic creates it; default true. */
  readonly autoCreateTopicEnable: boolean
  /** Whether an unknown consumer group is created when it shows up; default true. */
  readonly autoCreateSubscriptionGroup: boolean
  /** Queues of the template topic TBW102; default 8. */
  readonly defaultTopicQueueNums: number
  /** Whether a pull may wait as long as it asks; when false it waits `shortPollingTimeMills`. Default true. */
  readonly longPollingEnable: boolean
  /** Milliseconds; default 1000. */
  readonly shortPollingTimeMills: number
  /** Whether LITE_PULL_MESSAGE is served; default true. */
  readonly litePullMessageEnable: boolean
  /** Whether consumers may filter by SQL92; default false, as on a real broker: a test finds what production refuses. */
  readonly enablePropertyFilter: boolean
  /** The region in answers to sends; default `DefaultRegion`. */
  readonly regionId: string
  /** Whether clients may trace messages; default true. */
  readonly traceOn: boolean
  /** Bytes of the largest body that is stored; default 4 MiB. */
  readonly maxMessageSize: number
  /** Messages in one answer to a pull; default 32 (Java `maxTransferCountOnMessageInMemory`). */
  readonly maxTransferCount: number
  /** Bytes in one answer to a pull; default 262144 (Java `maxTransferBytesOnMessageInMemory`). */
  readonly maxTransferBytes: number
  /** Bytes the broker keeps before it forgets its oldest messages; default 512 MiB. */
  readonly maxStoreBytes: number
  /** How long each delay level waits, from level 1 on: numbers with one of the units s, m, h, d. Default 18 levels. */
  readonly messageDelayLevel: string
  /** Whether messages with a time of delivery are taken (5.x only); default true. */
  readonly timerWheelEnable: boolean
  /** Seconds ahead that a time of delivery may lie; default 259200 (three days). */
  readonly timerMaxDelaySec: number
  /** Milliseconds between two ticks of the timers; default 1000. */
  readonly timerPrecisionMs: number
  /** Whether a timer message can be recalled; default false, as on a real broker. */
  readonly recallMessageEnable: boolean
  /** Whether half messages are refused; default false. */
  readonly rejectTransactionMessage: boolean
  /** Milliseconds after its birth before a producer is asked about a half message; default 6000. */
  readonly transactionTimeOut: number
  /** How often a producer is asked before a half message is given up; default 15. */
  readonly transactionCheckMax: number
  /** Milliseconds between two rounds of checks of half messages, counted from the broker's start; default 30000. */
  readonly transactionCheckInterval: number
  /** Hours after which a half message is given up whatever its checks; default 72. */
  readonly fileReservedTime: number
  /** Whether replies to requests are also stored in the reply topic; default true. */
  readonly storeReplyMessageEnable: boolean
  /** Whether the broker itself tells consumers where to read on after a reset; default true. */
  readonly useServerSideResetOffset: boolean
  /** Whether the topic for message traces exists from the start; default false. */
  readonly traceTopicEnable: boolean
  /** Whether popped messages come again in `%RETRY%group+topic` and no longer in `%RETRY%group_topic`; default false. */
  readonly enableRetryTopicV2: boolean
  /** How many of a hundred pops look first for what comes again; the others look last. Default 20. */
  readonly popFromRetryProbability: number
  /** Pops of one group and queue that may wait; default 1024. */
  readonly popPollingSize: number
  /** Pops of all groups that may wait; default 100000. */
  readonly maxPopPollingSize: number
  /** Whether a queue is popped no further while too much of it is not acknowledged; default false. */
  readonly enablePopMessageThreshold: boolean
  /** Messages of a group and queue that are too much then; default 10000. */
  readonly popInflightMessageThreshold: number
  /** How consumers with `clientRebalance` off read a topic that `SET_MESSAGE_REQUEST_MODE` was not used for: `PULL` or `POP`; default `PULL`. */
  readonly defaultMessageRequestMode: string
  /** Of how many more consumers each pops the queues then; -1 all queues. Default -1. */
  readonly defaultPopShareQueueNum: number
  /** The release the broker speaks as, see `MQVersion`; below 5.0.0 it answers as 4.9.7 does. Default 513 (5.5.0). */
  readonly version: number
}

/** The settings of a broker that was given none. */
export const defaults: BrokerConfig = {
  brokerPermission: MixAll.PermName.READ | MixAll.PermName.WRITE,
  autoCreateTopicEnable: true,
  autoCreateSubscriptionGroup: true,
  defaultTopicQueueNums: 8,
  longPollingEnable: true,
  shortPollingTimeMills: 1_000,
  litePullMessageEnable: true,
  enablePropertyFilter: false,
  regionId: "DefaultRegion",
  traceOn: true,
  maxMessageSize: MixAll.MAX_MESSAGE_SIZE,
  maxTransferCount: 32,
  maxTransferBytes: 262_144,
  maxStoreBytes: 512 * 1024 * 1024,
  messageDelayLevel: DEFAULT_MESSAGE_DELAY_LEVEL,
  timerWheelEnable: true,
  timerMaxDelaySec: 259_200,
  timerPrecisionMs: 1_000,
  recallMessageEnable: false,
  rejectTransactionMessage: false,
  transactionTimeOut: 6_000,
  transactionCheckMax: 15,
  transactionCheckInterval: 30_000,
  fileReservedTime: 72,
  storeReplyMessageEnable: true,
  useServerSideResetOffset: true,
  traceTopicEnable: false,
  enableRetryTopicV2: false,
  popFromRetryProbability: 20,
  popPollingSize: 1_024,
  maxPopPollingSize: 100_000,
  enablePopMessageThreshold: false,
  popInflightMessageThreshold: 10_000,
  defaultMessageRequestMode: "PULL",
  defaultPopShareQueueNum: -1,
  version: MQVersion.V5_5_0
}

/** Fills in what is left out. */
export const make = (config?: Partial<BrokerConfig>): BrokerConfig => ({ ...defaults, ...config })

/** The settings of a running broker. */
export interface LiveConfig {
  /** The settings as they are now: the same object, whose values change. */
  readonly current: BrokerConfig
  /** Sets what is named, by RocketMQ's names; a setting that there is not changes nothing. */
  readonly update: (settings: ReadonlyMap<string, string>) => void
}

/** What no request changes, and only an embedded broker has. */
const own: ReadonlySet<string> = new Set<keyof BrokerConfig>(["version", "maxStoreBytes"])

/** The settings that a broker of 4.x does not have. */
const newIn5: ReadonlySet<string> = new Set<keyof BrokerConfig>([
  "litePullMessageEnable",
  "timerWheelEnable",
  "timerMaxDelaySec",
  "timerPrecisionMs",
  "recallMessageEnable",
  "useServerSideResetOffset",
  "enableRetryTopicV2",
  "popFromRetryProbability",
  "popPollingSize",
  "maxPopPollingSize",
  "enablePopMessageThreshold",
  "popInflightMessageThreshold",
  "defaultMessageRequestMode",
  "defaultPopShareQueueNum"
])

/** Whether RocketMQ's broker of that release has the setting. */
const isKnown = (name: string, version: number): boolean =>
  !own.has(name) && (version >= MQVersion.V5_0_0 || !newIn5.has(name))

/** The settings whose RocketMQ name is another. */
const wireNames: ReadonlyMap<string, string> = new Map<keyof BrokerConfig, string>([
  ["maxTransferCount", "maxTransferCountOnMessageInMemory"],
  ["maxTransferBytes", "maxTransferBytesOnMessageInMemory"]
])

const wireName = (name: string): string => wireNames.get(name) ?? name

/** The settings by RocketMQ's names. */
export const toSettings = (config: BrokerConfig): Readonly<Record<string, Setting>> =>
  Object.fromEntries(
    Object.entries<Setting>({ ...config })
      .filter(([name]) => isKnown(name, config.version))
      .map(([name, setting]) => [wireName(name), setting])
  )

/** Settings that begin as given. What is read once, when a broker is made, does not change any more, as in RocketMQ. */
export const live = (initial: BrokerConfig): LiveConfig => {
  const current = { ...initial }
  return {
    current,
    update: (texts) => {
      for (const [name, setting] of Object.entries<Setting>(current)) {
        const text = isKnown(name, initial.version) ? texts.get(wireName(name)) : undefined
        if (text !== undefined) Object.assign(current, { [name]: withText(setting, text) })
      }
    }
  }
}
