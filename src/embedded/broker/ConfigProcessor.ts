import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as GetBrokerConfig from "../../protocol/request/GetBrokerConfig.ts"
import * as UpdateConfig from "../../protocol/request/UpdateConfig.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as Settings from "../server/Settings.ts"
import * as BrokerConfig from "../store/BrokerConfig.ts"
import type { Broker } from "./Broker.ts"

/** What a broker of 5.x does not change while it runs (Java `configBlackList`). */
const blackList: ReadonlyArray<string> = ["brokerConfigPath", "rocketmqHome", "configBlackList"]

/** The settings of one broker: change (25) and read (26). Source: RocketMQ `AdminBrokerProcessor`, `Configuration`. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0
  let counter = 0
  let timestamp = broker.now()

  const version = (): string => JSON.stringify({ counter, ...(legacy ? {} : { stateVersion: 0 }), timestamp })

  const update = Reply.sync((request) => {
    if (request.body.length === 0) return UpdateConfig.response()
    const settings = UpdateConfig.decodeRequest(request)
    if (settings instanceof DecodeError) return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.PROPERTIES_ERROR)
    if (!legacy && blackList.some((name) => settings.has(name))) {
      return Reply.refuse(ResponseCode.NO_PERMISSION, Remarks.CONFIG_IN_BLACK_LIST)
    }
    broker.updateConfig(settings)
    counter += 1
    timestamp = broker.now()
    if (settings.has("brokerPermission")) {
      state.topics.nextVersion()
      broker.register()
    }
    return UpdateConfig.response()
  })

  const read = Reply.sync(() => {
    const address = broker.address()
    const at = address.lastIndexOf(":")
    return GetBrokerConfig.response(
      Settings.toTexts({
        ...BrokerConfig.toSettings(config),
        brokerName: broker.name,
        brokerClusterName: state.clusterName,
        brokerId: broker.id,
        brokerIP1: address.slice(0, at),
        brokerRole: broker.id === MixAll.MASTER_ID ? "ASYNC_MASTER" : "SLAVE",
        listenPort: address.slice(at + 1)
      }),
      version()
    )
  })

  return new Map([
    [RequestCode.UPDATE_BROKER_CONFIG, update],
    [RequestCode.GET_BROKER_CONFIG, read]
  ])
}
