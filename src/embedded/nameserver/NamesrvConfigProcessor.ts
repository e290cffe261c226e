import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as GetNamesrvConfig from "../../protocol/request/GetNamesrvConfig.ts"
import * as UpdateConfig from "../../protocol/request/UpdateConfig.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { NameServer } from "./NameServer.ts"

/** What a name server of 5.x does not change while it runs (Java `configBlackList`). */
const blackList: ReadonlyArray<string> = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"]
/** What one of 4.x does not change. */
const paths: ReadonlyArray<string> = ["kvConfigPath", "configStorePath"]

/** The settings of a name server: change (318) and read (319). Source: RocketMQ `DefaultRequestProcessor`. */
export const handlers = ({ config, version }: NameServer): Handlers => {
  const legacy = version < MQVersion.V5_0_0

  const refusal = (settings: UpdateConfig.Settings): Response | undefined => {
    if (!(legacy ? paths : blackList).some((name) => settings.has(name))) return undefined
    return Reply.refuse(ResponseCode.NO_PERMISSION, legacy ? Remarks.CONFIG_PATH_FIXED : Remarks.CONFIG_IN_BLACK_LIST)
  }

  const update = Reply.sync((request) => {
    if (request.body.length === 0) return UpdateConfig.response()
    const settings = UpdateConfig.decodeRequest(request)
    if (settings instanceof DecodeError) return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.PROPERTIES_ERROR)
    const refused = refusal(settings)
    if (refused === undefined) config.update(settings)
    return refused ?? UpdateConfig.response()
  })

  return new Map([
    [RequestCode.UPDATE_NAMESRV_CONFIG, update],
    [RequestCode.GET_NAMESRV_CONFIG, Reply.sync(() => GetNamesrvConfig.response(config.texts()))]
  ])
}
