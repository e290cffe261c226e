import { MAX_FRAME_LENGTH } from "../protocol/Frame.ts"
import { MQVersion } from "../protocol/MQVersion.ts"
import type { SerializeType } from "../protocol/RemotingCommand.ts"
import type { RpcHook } from "./RpcHook.ts"
import type { TlsOptions } from "./Tls.ts"

/** Settings of a `RemotingClient`. Source: RocketMQ `NettyClientConfig` where a field is named. */
export interface RemotingClientConfig {
  /** Milliseconds a dial may take; default 3000 (`connectTimeoutMillis`). */
  readonly connectTimeoutMillis: number
  /** Requests under way on one connection, beyond which callers wait; default 4096 (`clientAsyncSemaphoreValue`, there 65535). */
  readonly maxInFlightRequests: number
  /** Bytes under way on one connection, beyond which callers wait; default 64 MiB. A request counts its body and 256. */
  readonly maxInFlightBytes: number
  /** Milliseconds without a byte in either direction after which a connection is closed; default 120000 (`clientChannelMaxIdleTimeSeconds`). */
  readonly idleTimeoutMillis: number
  /** Longest frame that is read, in bytes, the length field included; default 16 MiB (`com.rocketmq.remoting.frameMaxLength`). */
  readonly maxFrameLength: number
  /** How many times in a row requests may time out on a wholly silent connection before it is closed; default 2. */
  readonly silentTimeoutsBeforeClose: number
  /** Pause before an address is dialled again after a failed dial, doubled with each failure; default 100 to 3000 ms. */
  readonly reconnectBackoffMillis: { readonly initial: number; readonly max: number }
  /** The `LanguageCode` name in each header; default "OTHER". */
  readonly language: string
  /** The `MQVersion` ordinal in each header; default 513 (5.5.0). */
  readonly version: number
  /** How headers are written; default "JSON" (`rocketmq.serialize.type`). Both forms are read. */
  readonly serializeType: SerializeType
  /** Speaks TLS with every address; plain text by default (Java `useTLS`). */
  readonly tls?: TlsOptions | undefined
  /** Which of the IP addresses that an address' host name stands for may be dialled; all by default. */
  readonly mayReach?: ((address: string, ip: string) => boolean) | undefined
  /** Sees every request and answer; none by default. */
  readonly rpcHook?: RpcHook | undefined
}

/** The settings of a client that sets nothing. */
export const defaultConfig: RemotingClientConfig = {
  connectTimeoutMillis: 3000,
  maxInFlightRequests: 4096,
  maxInFlightBytes: 64 * 1024 * 1024,
  idleTimeoutMillis: 120_000,
  maxFrameLength: MAX_FRAME_LENGTH,
  silentTimeoutsBeforeClose: 2,
  reconnectBackoffMillis: { initial: 100, max: 3000 },
  language: "OTHER",
  version: MQVersion.CURRENT,
  serializeType: "JSON"
}
