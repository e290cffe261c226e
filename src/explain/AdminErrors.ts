import type {
  AdminError,
  ConsumerNotOnline,
  GroupAlreadyExists,
  GroupNotFound,
  InvalidMessageId,
  InvalidOrderConf,
  InvalidText,
  MessageNotFound,
  NoAccessControl,
  NoMaster,
  TooManyBrokers,
  TooMuchAnswered,
  TopicAlreadyExists,
  TopicNotFound,
  UnknownBroker,
  UnknownCluster,
  UnknownSetting
} from "../admin/AdminError.ts"
import * as NameList from "../message/NameList.ts"
import type { AddressRefused } from "../client/ClientError.ts"
import type { Explainers, Surroundings } from "./Explanation.ts"

/** What only an administrator can fail with. */
export type AdminOnlyReason =
  | UnknownCluster
  | NoMaster
  | InvalidMessageId
  | InvalidText
  | UnknownBroker
  | AddressRefused
  | TooManyBrokers
  | TooMuchAnswered
  | TopicNotFound
  | TopicAlreadyExists
  | GroupAlreadyExists
  | GroupNotFound
  | UnknownSetting
  | NoAccessControl
  | InvalidOrderConf
  | MessageNotFound
  | ConsumerNotOnline

/** How the errors of `admin/` are explained. */
export const adminExplainers: Explainers<AdminOnlyReason> = {
  UnknownCluster: (e) => ({
    cause: e.clusterName === undefined ? "there are several clusters" : `the name server knows no such cluster`,
    evidence: [
      ...(e.clusterName === undefined ? [] : [`asked for: ${e.clusterName}`]),
      `known: ${e.clusters.length === 0 ? "none" : NameList.text(e.clusters)}`
    ],
    remedy: "Name one of them."
  }),
  NoMaster: (e) => ({
    cause: "no broker of the cluster has a master at present",
    evidence: [`cluster: ${e.clusterName}`, ...NameList.lines(e.brokers, (broker) => `broker: ${broker}`)],
    remedy: "Start one, or wait for the fail-over."
  }),
  InvalidMessageId: (e) => ({
    cause: "the text is no offset message id",
    evidence: [`given: ${e.msgId}`],
    remedy: "Pass the offsetMsgId of a send's result: 32 or 56 hexadecimal digits."
  }),
  InvalidText: (e) => ({
    cause: "a text of the call holds half of a surrogate pair, and cannot be sent",
    evidence: [`text: ${e.at}`],
    remedy: "Correct the text: a slice may have cut an emoji."
  }),
  UnknownBroker: (e) => ({
    cause: "no broker of that name has a master at present",
    evidence: [
      `asked for: ${e.brokerName}`,
      `with a master: ${e.brokers.length === 0 ? "none" : NameList.text(e.brokers)}`
    ],
    remedy: "Name one of them, or an address as host:port."
  }),
  AddressRefused: (e) => ({
    cause: "the broker's address is not dialled",
    evidence: [e.evidence],
    remedy: e.remedy
  }),
  TooManyBrokers: (e) => ({
    cause: "the name server names more brokers than can be worked through",
    evidence: [`of: ${e.subject}`, `brokers: ${e.brokers}`],
    remedy: "Check who answers as name server."
  }),
  TooMuchAnswered: (e) => ({
    cause: "the brokers answer more than one call can hold",
    evidence: [`about: ${e.subject}`, `bytes: ${e.bytes}, of ${e.limit}`, `brokers: ${e.answered} of ${e.brokers}`],
    remedy: "Ask for less at a time, or check who answers as broker."
  }),
  TopicNotFound: (e) => ({
    cause: "no broker that was asked has the topic",
    evidence: [`topic: ${e.topic}`],
    remedy: "Check its spelling and namespace, or create it (`effect-rocketmq topic create <topic>`)."
  }),
  TopicAlreadyExists: (e) => ({
    cause: "the topic was to be created and is there already",
    evidence: [`topic: ${e.topic}`, ...NameList.lines(e.brokers, (broker) => `has it: ${broker}`)],
    remedy: "Change it with updateTopic (`effect-rocketmq topic update <topic>`), which leaves alone what is not named."
  }),
  GroupAlreadyExists: (e) => ({
    cause: "the group was to be created and is there already",
    evidence: [`group: ${e.group}`, ...NameList.lines(e.brokers, (broker) => `has it: ${broker}`)],
    remedy:
      "Change it with updateSubscriptionGroup (`effect-rocketmq group update <group>`), which leaves alone what is not named."
  }),
  GroupNotFound: (e) => ({
    cause: "no broker that was asked has the group",
    evidence: [`group: ${e.group}`],
    remedy:
      "Check its spelling and namespace (`effect-rocketmq group list`); a broker may make it at the first heartbeat."
  }),
  UnknownSetting: (e) => ({
    cause: "the server has no such setting, and would have said yes to it",
    evidence: [
      `server: ${e.server}`,
      ...NameList.lines(e.names, (name) => `unknown: ${name}`),
      ...NameList.lines(e.similar, (name) => `known: ${name}`)
    ],
    remedy:
      "Check the spelling among its settings (`effect-rocketmq broker config <broker>`, `effect-rocketmq namesrv config`)."
  }),
  NoAccessControl: (e) => ({
    cause:
      e.problem === "release"
        ? "the broker is of a release without these requests"
        : "the broker's access control is not set up",
    evidence: [`broker: ${e.brokerName} at ${e.address}`],
    remedy:
      e.problem === "release"
        ? "Edit conf/plain_acl.yml on the broker, which it reads again by itself where its aclEnable is true, or use a broker of 5.3.0 or later."
        : "Set authenticationEnabled, authenticationProvider, authenticationMetadataProvider, authorizationMetadataProvider and initAuthenticationUser in its broker.conf, and restart it."
  }),
  InvalidOrderConf: (e) => ({
    cause: "the order configuration does not fit the topic",
    evidence: [`topic: ${e.topic}`, e.problem],
    remedy:
      "Name brokers of the topic, and of each no more queues than can be written (`effect-rocketmq topic config <topic>`)."
  }),
  MessageNotFound: (e) => ({
    cause: "no message of the topic has the id",
    evidence: [`topic: ${e.topic}`, `id: ${e.msgId}`, ...NameList.lines(e.brokers, (broker) => `asked: ${broker}`)],
    remedy:
      "Check topic and id; a message just sent is indexed within a second, and old ones are deleted by the brokers."
  }),
  ConsumerNotOnline: (e) => ({
    cause: "nobody of the consumer group is online",
    evidence: [`group: ${e.group}`],
    remedy: "Start a consumer of the group, and check its name; a broker knows a member from its first heartbeat on."
  })
}

/** What a failed administrative call adds to its reason. */
export const adminSurroundings: Surroundings<AdminError> = {
  AdminError: (e, evidence) => [
    `could not ${e.operation}`,
    ...evidence,
    ...NameList.lines(e.done, (server) => `done on ${server} already`)
  ]
}
