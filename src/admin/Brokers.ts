import { Effect, Schedule } from "effect"
import type { ApiError } from "../client/ClientError.ts"
import type { ClusterInfo } from "../protocol/ClusterInfo.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import * as GetBrokerConfig from "../protocol/request/GetBrokerConfig.ts"
import * as GetBrokerRuntimeInfo from "../protocol/request/GetBrokerRuntimeInfo.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import * as UpdateConfig from "../protocol/request/UpdateConfig.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import { type ChangedSetting, changesOf, known } from "./Settings.ts"

/** The calls about clusters and brokers. A broker is named by its name, for its master, or by its `host:port`. */
export interface Brokers {
  /** All clusters and brokers. */
  readonly examineBrokerClusterInfo: Effect.Effect<ClusterInfo, AdminError>
  /**
   * What a broker counts and measures: `brokerVersionDesc`, `putTps`, `commitLogDiskRatio` and so on, as text. A broker in
   * its first second has no statistics and refuses; it is asked again, for at most two seconds.
   */
  readonly fetchBrokerRuntimeStats: (broker: string) => Effect.Effect<ReadonlyMap<string, string>, AdminError>
  /** The settings that a broker runs with. */
  readonly getBrokerConfig: (broker: string) => Effect.Effect<ReadonlyMap<string, string>, AdminError>
  /**
   * Changes settings of a running broker, which writes them to its configuration file. A name that it does not have fails
   * with `UnknownSetting`, and nothing is changed: a broker says yes to it, and to a value that it cannot read, which shows in
   * the result as a setting that stayed as it was. Some settings a broker reads at its start only.
   */
  readonly updateBrokerConfig: (
    broker: string,
    settings: Readonly<Record<string, string>>
  ) => Effect.Effect<ReadonlyArray<ChangedSetting>, AdminError>
}

/**
 * Whether a broker refuses since it has been up for less than a second: both releases fail while their statistics have
 * no sample yet. Source: RocketMQ `StoreStatsService.getPutTps`, `FREQUENCY_OF_SAMPLING`.
 */
const hasNoSampleYet = (error: ApiError): boolean =>
  error._tag === "BrokerRejected" &&
  error.code === ResponseCode.SYSTEM_ERROR &&
  error.remark.startsWith("java.util.NoSuchElementException")

/** Waits for the first sample, which a broker takes a second after its start; twice that, for a busy machine. */
const untilFirstSample = { while: hasNoSampleYet, schedule: Schedule.spaced("250 millis"), times: 8 }

/** Makes the calls about brokers. Source: RocketMQ `DefaultMQAdminExtImpl`. */
export const make = ({ broker, instance, timeoutMillis }: AdminContext): Brokers => {
  const { api } = instance

  const configOf = (address: string) =>
    api.call(address, GetBrokerConfig.request(), timeoutMillis, GetBrokerConfig.decodeResponse)

  const update = Effect.fnUntraced(function* (name: string, settings: Readonly<Record<string, string>>) {
    const { address, brokerName } = yield* broker(name)
    const before = yield* configOf(address)
    yield* known(`Broker ${brokerName}`, before, settings)
    const request = UpdateConfig.request(new Map(Object.entries(settings)), "broker")
    yield* api.call(address, request, timeoutMillis, UpdateConfig.decodeResponse)
    return changesOf(settings, before, yield* configOf(address))
  })

  return {
    examineBrokerClusterInfo: api
      .callNameServer(GetBrokerClusterInfo.request(), timeoutMillis, GetBrokerClusterInfo.decodeResponse)
      .pipe(failing("list the brokers")),
    fetchBrokerRuntimeStats: (name) =>
      broker(name).pipe(
        Effect.flatMap(({ address }) =>
          Effect.retry(
            api.call(address, GetBrokerRuntimeInfo.request(), timeoutMillis, GetBrokerRuntimeInfo.decodeResponse),
            untilFirstSample
          )
        ),
        Effect.map(({ table }) => table),
        failing(`read the runtime information of broker ${name}`)
      ),
    getBrokerConfig: (name) =>
      broker(name).pipe(
        Effect.flatMap(({ address }) => configOf(address)),
        failing(`read the settings of broker ${name}`)
      ),
    updateBrokerConfig: (name, settings) => update(name, settings).pipe(failing(`change settings of broker ${name}`))
  }
}
