import { Effect } from "effect"
import type { ApiError } from "../client/ClientError.ts"
import type { DecodeAnswer, NameServerApiError } from "../client/MQClientApi.ts"
import type { AddressRefused } from "../client/ClientError.ts"
import type { Request } from "../protocol/RemotingCommand.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, type BrokerAddress, failing } from "./AdminContext.ts"
import {
  type AdminError,
  NoAccessControl,
  type NoMaster,
  type TooManyBrokers,
  type UnknownCluster
} from "./AdminError.ts"
import { gather } from "./Gather.ts"
import type { TooMuchAnswered } from "./AdminError.ts"

/** What keeps users and rights from being read. */
export type ReadError =
  | ApiError
  | NameServerApiError
  | UnknownCluster
  | NoMaster
  | AddressRefused
  | TooManyBrokers
  | TooMuchAnswered
  | NoAccessControl

/** The requests about users and rights, which every broker of a cluster keeps for itself. */
export interface AccessCalls {
  /** Tells every broker of a cluster, slaves too, and gives their names; one that says no ends it. */
  readonly tell: (
    operation: string,
    clusterName: string | undefined,
    request: Request
  ) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Asks every master of a cluster. */
  readonly ask: <A>(
    subject: string,
    clusterName: string | undefined,
    request: Request,
    decode: DecodeAnswer<A>
  ) => Effect.Effect<ReadonlyArray<{ readonly brokerName: string; readonly answer: A }>, ReadError>
}

/**
 * What a broker says where no provider of users and rights is set up: an exception, or that something went wrong. Source:
 * RocketMQ `AuthorizationMetadataManagerImpl`, `AdminBrokerProcessor.handleAuthException`.
 */
const NOT_SET_UP = /^An system error occurred|MetadataProvider is not configured/

/** Makes the requests. */
export const make = ({ instance, isModern, masters, members, timeoutMillis }: AdminContext): AccessCalls => {
  const { api } = instance

  const call = <A>({ address, brokerName }: BrokerAddress, request: Request, decode: DecodeAnswer<A>) =>
    Effect.flatMap(isModern(address), (modern) => {
      const refused = (problem: "release" | "disabled") => new NoAccessControl({ brokerName, address, problem })
      if (!modern) return Effect.fail(refused("release"))
      return api.call(address, request, timeoutMillis, decode).pipe(
        Effect.catchIf(
          (error) => error._tag === "BrokerRejected",
          (error): Effect.Effect<never, ApiError | NoAccessControl> => {
            if (error.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED) return Effect.fail(refused("release"))
            const isNotSetUp = error.code === ResponseCode.SYSTEM_ERROR && NOT_SET_UP.test(error.remark)
            return Effect.fail(isNotSetUp ? refused("disabled") : error)
          }
        )
      )
    })

  return {
    tell: Effect.fnUntraced(function* (operation, clusterName, request) {
      const done: Array<string> = []
      for (const broker of yield* members(clusterName).pipe(failing(operation))) {
        yield* call(broker, request, () => undefined).pipe(failing(operation, done))
        done.push(broker.brokerId === 0 ? broker.brokerName : `${broker.brokerName} (slave ${broker.brokerId})`)
      }
      return done
    }),
    ask: Effect.fnUntraced(function* (subject, clusterName, request, decode) {
      const { brokers } = yield* masters(clusterName)
      const answers = yield* gather(subject, brokers, (broker, counted) =>
        Effect.map(call(broker, request, counted(decode)), (answer) => ({ brokerName: broker.brokerName, answer }))
      )
      return answers
    })
  }
}
