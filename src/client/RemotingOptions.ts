import { type Duration, Effect } from "effect"
import { defaultConfig, type RemotingClientConfig } from "../transport/RemotingClientConfig.ts"
import type { SerializeType } from "../protocol/RemotingCommand.ts"
import type { RpcHook } from "../transport/RpcHook.ts"
import { nested } from "./options/NestedOption.ts"
import { type Option, type Resolved, type TableOf } from "./options/Option.ts"
import * as Kinds from "./options/OptionKinds.ts"

/** The pauses before an address is dialled again. */
export interface BackoffOptions {
  /** The pause after the first failed dial; default 100 millis. */
  readonly initial?: Duration.Input | undefined
  /** The longest pause; default 3 seconds. */
  readonly max?: Duration.Input | undefined
}

/**
 * The option `remoting`: how connections are opened, held and used. A time is any `Duration.Input`; a bare number is
 * milliseconds.
 *
 * Source: RocketMQ `NettyClientConfig`.
 */
export interface RemotingOptions {
  /** How long a dial may take; default 3 seconds (Java `connectTimeoutMillis`). */
  readonly connectTimeoutMillis?: Duration.Input | undefined
  /**
   * Requests under way on one connection, beyond which callers wait; default 4,096 (Java `clientAsyncSemaphoreValue`, there
   * 65,535). The pulls of consumers, what they give back and the offsets that they write take no place.
   */
  readonly maxInFlightRequests?: number | undefined
  /** Bytes under way on one connection, beyond which callers wait; default 64 MiB. A request counts its body and 256. */
  readonly maxInFlightBytes?: number | undefined
  /** How long no byte may pass in either direction before a connection is closed; default 2 minutes (Java `clientChannelMaxIdleTimeSeconds`). */
  readonly idleTimeoutMillis?: Duration.Input | undefined
  /** The longest frame that is read, in bytes, its length field included; default 16 MiB (Java `com.rocketmq.remoting.frameMaxLength`). */
  readonly maxFrameLength?: number | undefined
  /** How many times in a row requests may time out on a wholly silent connection before it is closed; default 2. */
  readonly silentTimeoutsBeforeClose?: number | undefined
  /** The pause before an address is dialled again after a failed dial, doubled with each failure; default 100 millis to 3 seconds. */
  readonly reconnectBackoffMillis?: BackoffOptions | undefined
  /** The `LanguageCode` name in each header; default `OTHER` (Java `language`). */
  readonly language?: string | undefined
  /** The `MQVersion` ordinal in each header; default 513, which is 5.5.0. */
  readonly version?: number | undefined
  /** How headers are written; default `JSON` (Java `rocketmq.serialize.type`). Both forms are read. */
  readonly serializeType?: SerializeType | undefined
  /** Sees every request and answer; by default there is none. */
  readonly rpcHook?: RpcHook | undefined
}

const { reconnectBackoffMillis } = defaultConfig

const backoff = {
  initial: Kinds.time({
    name: "reconnect-backoff-initial",
    java: "none",
    default: reconnectBackoffMillis.initial,
    least: 1
  }),
  max: Kinds.time({ name: "reconnect-backoff-max", java: "none", default: reconnectBackoffMillis.max, least: 1 })
}

type Backoff = RemotingClientConfig["reconnectBackoffMillis"]

const backoffParts = nested<Backoff, BackoffOptions>(backoff, backoff, () => undefined)

const table = {
  connectTimeoutMillis: Kinds.time({
    name: "connect-timeout",
    also: ["connectTimeoutMillis"],
    java: "`connectTimeoutMillis`",
    default: defaultConfig.connectTimeoutMillis,
    least: 1
  }),
  maxInFlightRequests: Kinds.whole({
    name: "max-in-flight-requests",
    also: ["clientAsyncSemaphoreValue"],
    java: "`clientAsyncSemaphoreValue` (65535)",
    default: defaultConfig.maxInFlightRequests,
    least: 1
  }),
  maxInFlightBytes: Kinds.whole({
    name: "max-in-flight-bytes",
    java: "none",
    default: defaultConfig.maxInFlightBytes,
    least: 1
  }),
  idleTimeoutMillis: Kinds.time({
    name: "idle-timeout",
    java: "`clientChannelMaxIdleTimeSeconds`, in seconds",
    default: defaultConfig.idleTimeoutMillis,
    least: 1
  }),
  maxFrameLength: Kinds.whole({
    name: "max-frame-length",
    java: "`com.rocketmq.remoting.frameMaxLength`",
    default: defaultConfig.maxFrameLength,
    least: 1
  }),
  silentTimeoutsBeforeClose: Kinds.whole({
    name: "silent-timeouts-before-close",
    java: "none",
    default: defaultConfig.silentTimeoutsBeforeClose,
    least: 1
  }),
  reconnectBackoffMillis: {
    ...backoffParts,
    default: reconnectBackoffMillis,
    check: (given, report) => {
      const { initial = reconnectBackoffMillis.initial, max = reconnectBackoffMillis.max } =
        backoffParts.check(given, report) ?? {}
      return { initial, max }
    },
    read: (find) =>
      Effect.map(
        backoffParts.read(find),
        (given) => given && { initial: reconnectBackoffMillis.initial, max: reconnectBackoffMillis.max, ...given }
      )
  } satisfies Option<Backoff, BackoffOptions>,
  language: Kinds.text({
    name: "client-language",
    also: ["language"],
    java: "`language`",
    default: defaultConfig.language,
    blank: "refused"
  }),
  version: Kinds.whole({
    name: "client-version",
    java: "none",
    default: defaultConfig.version,
    least: 0,
    most: 32_767
  }),
  serializeType: Kinds.literal({
    name: "serialize-type",
    also: ["serialize.type"],
    java: "`rocketmq.serialize.type`",
    values: ["JSON", "ROCKETMQ"],
    default: defaultConfig.serializeType
  }),
  rpcHook: Kinds.code<RpcHook>({
    java: "`RPCHook`",
    absent: "none",
    what: "an object with doBeforeRequest, doAfterResponse or both",
    is: (value): value is RpcHook => typeof value === "object" && value !== null && !Array.isArray(value)
  })
} satisfies TableOf<RemotingOptions>

/** {@link RemotingOptions} that were given, checked, with times in milliseconds; the remoting client knows the rest. */
export interface RemotingSettings extends Partial<Resolved<typeof table>> {}

/** The definition of the option. */
export const definition: Option<RemotingSettings, RemotingOptions> = nested<Resolved<typeof table>, RemotingOptions>(
  table,
  table,
  (key) => (key === "tls" ? "stands beside remoting, as the option tls" : undefined)
)
