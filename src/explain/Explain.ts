import type { AdminError } from "../admin/AdminError.ts"
import type { StartError } from "../client/ClientError.ts"
import type { RecallError } from "../producer/Recall.ts"
import type { SendError } from "../producer/send/SendError.ts"
import { adminExplainers, type AdminOnlyReason, adminSurroundings } from "./AdminErrors.ts"
import { clientExplainers, type ClientReason, startSurroundings } from "./ClientErrors.ts"
import type { ReceiveError, SettleError } from "../consumer/simple/SimpleError.ts"
import { consumerExplainers, type ConsumerReason, consumerSurroundings } from "./ConsumerErrors.ts"
import { type ByTag, explainBy, type Explainers, type Explanation, type Surroundings } from "./Explanation.ts"
import { messageExplainers, type MessageReason } from "./MessageErrors.ts"
import { producerExplainers, type ProducerReason, producerSurroundings } from "./ProducerErrors.ts"
import { protocolExplainers, type ProtocolReason } from "./ProtocolErrors.ts"
import { transportExplainers, type TransportReason } from "./TransportErrors.ts"

/** The outer error of each verb; each holds a reason. */
type OuterError = StartError | SendError | RecallError | ReceiveError | SettleError | AdminError

/** Every reason, whatever error it may be found in. */
type AnyReason =
  | MessageReason
  | ProtocolReason
  | TransportReason
  | ClientReason
  | ProducerReason
  | ConsumerReason
  | AdminOnlyReason
  | OuterError["reason"]

/** Every error of this package that a user can meet, the reasons by themselves included. */
export type AnyError = OuterError | AnyReason

/** How every reason is explained: one that has no entry in the table of its room does not compile. */
export const explainers: Explainers<AnyReason> = {
  ...messageExplainers,
  ...protocolExplainers,
  ...transportExplainers,
  ...clientExplainers,
  ...producerExplainers,
  ...consumerExplainers,
  ...adminExplainers
}

/** What each outer error adds. */
const surroundings: Surroundings<OuterError> = {
  ...startSurroundings,
  ...producerSurroundings,
  ...consumerSurroundings,
  ...adminSurroundings
}

const around = <K extends OuterError["_tag"]>(
  tag: K,
  error: ByTag<OuterError>[K],
  evidence: ReadonlyArray<string>
): ReadonlyArray<string> => surroundings[tag](error, evidence)

/**
 * Says what happened, what says so, and what to do, for any error of this package. Pure: nothing is asked of anybody.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DefaultMQProducer, explain, Message } from "effect-rocketmq"
 *
 * const program = Effect.gen(function* () {
 *   const producer = yield* DefaultMQProducer
 *   yield* producer.send(Message.make({ topic: "orders", body: "7" }))
 * }).pipe(Effect.tapError((error) => Effect.logError(explain(error))))
 * ```
 */
export const explain = (error: AnyError): Explanation => {
  switch (error._tag) {
    case "StartError":
    case "SendError":
    case "RecallError":
    case "ReceiveError":
    case "SettleError":
    case "AdminError": {
      const inner = explainBy(explainers, error.reason._tag, error.reason)
      return { ...inner, evidence: around(error._tag, error, inner.evidence) }
    }
    default:
      return explainBy(explainers, error._tag, error)
  }
}
