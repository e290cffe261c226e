import { type ByTag, explainBy, type Explainers, type Explanation } from "./ClientErrors.ts"
import { type ExplainedError, explain as explainError, producerExplainers } from "./ProducerErrors.ts"
import type { AdminError, AdminReason } from "../admin/AdminError.ts"

/** Every error of this package that a user can meet, the reasons by themselves included. */
export type AnyError = ExplainedError | AdminError | AdminReason

/** How every reason is explained: one that has no entry does not compile. */
export const explainers: typeof producerExplainers & Explainers<ByTag<AdminReason>> = {
  ...producerExplainers,
  UnknownCluster: (e) => ({
    cause: e.clusterName === undefined ? "there are several clusters" : `the name server knows no such cluster`,
    evidence: [
      ...(e.clusterName === undefined ? [] : [`asked for: ${e.clusterName}`]),
      `known: ${e.clusters.length === 0 ? "none" : e.clusters.join(", ")}`
    ],
    remedy: "Name one of them."
  }),
  NoMaster: (e) => ({
    cause: "no broker of the cluster has a master at present",
    evidence: [`cluster: ${e.clusterName}`, ...e.brokers.map((broker) => `broker: ${broker}`)],
    remedy: "Start one, or wait for the fail-over."
  }),
  InvalidMessageId: (e) => ({
    cause: "the text is no offset message id",
    evidence: [`given: ${e.msgId}`],
    remedy: "Pass the offsetMsgId of a send's result: 32 or 56 hexadecimal digits."
  }),
  UnknownBroker: (e) => ({
    cause: "no broker of that name has a master at present",
    evidence: [
      `asked for: ${e.brokerName}`,
      `with a master: ${e.brokers.length === 0 ? "none" : e.brokers.join(", ")}`
    ],
    remedy: "Name one of them, or an address as host:port."
  }),
  AddressRefused: (e) => ({
    cause: "the option allowAddress refuses the broker's address",
    evidence: [`address: ${e.address}`],
    remedy: "Extend allowAddress, or check who answers as name server."
  }),
  TopicNotFound: (e) => ({
    cause: "no broker that was asked has the topic",
    evidence: [`topic: ${e.topic}`],
    remedy: "Check its spelling and namespace, or create it (`effect-rocketmq topic create`)."
  }),
  MessageNotFound: (e) => ({
    cause: "no message of the topic has the id",
    evidence: [`topic: ${e.topic}`, `id: ${e.msgId}`, ...e.brokers.map((broker) => `asked: ${broker}`)],
    remedy:
      "Check topic and id; a message just sent is indexed within a second, and old ones are deleted by the brokers."
  })
}

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
    case "AdminError": {
      const inner = explainBy(explainers, error.reason._tag, error.reason)
      return {
        ...inner,
        evidence: [
          `could not ${error.operation}`,
          ...inner.evidence,
          ...error.done.map((server) => `done on ${server} already`)
        ]
      }
    }
    case "UnknownCluster":
    case "NoMaster":
    case "InvalidMessageId":
    case "UnknownBroker":
    case "AddressRefused":
    case "TopicNotFound":
    case "MessageNotFound":
      return explainBy(explainers, error._tag, error)
    default:
      return explainError(error)
  }
}
