import { Layer } from "effect"
import { MQAdmin } from "../admin/MQAdmin.ts"
import type { StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { Wire } from "../transport/Wire.ts"

/** The administrator that the commands read a cluster with. */
export const adminLayer = (namesrv: string): Layer.Layer<MQAdmin, StartError, Wire> =>
  MQAdmin.layer({ namesrvAddr: namesrv }).pipe(Layer.provide(MQClientManager.layer))
