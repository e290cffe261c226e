import { Schema } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import * as NameList from "../message/NameList.ts"
import { ILL_FORMED } from "../message/WellFormed.ts"
import {
  AddressRefused,
  ApiError,
  BrokerNotExist,
  NameServerUnavailable,
  NoNameServer,
  RouteUnavailable
} from "../client/ClientError.ts"
import { MAX_BROKERS } from "../client/RouteBounds.ts"

/** A cluster that the name server does not know, or none was named where there are several. */
export class UnknownCluster extends Schema.TaggedError<UnknownCluster>()("UnknownCluster", {
  /** The name that was asked for; undefined when none was given. */
  clusterName: Schema.UndefinedOr(Schema.String),
  /** The clusters that there are. */
  clusters: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = NameList.text(this.clusters)
    if (this.clusters.length === 0) {
      const asked = this.clusterName === undefined ? "" : ` "${this.clusterName}"`
      return `The name server knows no broker, and so no cluster${asked}. Start a broker that registers with it, or check that it is the one that is meant.`
    }
    return this.clusterName === undefined
      ? `The name server knows ${known}. Say which cluster is meant.`
      : `The name server knows no cluster "${this.clusterName}"; it knows ${known}.`
  }
}

/** A cluster none of whose brokers has a master at present, so that nothing can be changed on it. */
export class NoMaster extends Schema.TaggedError<NoMaster>()("NoMaster", {
  /** The cluster that was asked for, or the only one. */
  clusterName: Schema.String,
  /** Its brokers, by name. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message() {
    return `No broker of cluster "${this.clusterName}" has a master (broker id 0) at present${this.brokers.length === 0 ? "" : `: ${NameList.text(this.brokers)}`}. Start one, or wait for the fail-over.`
  }
}

/** A text that is no offset message id. */
export class InvalidMessageId extends Schema.TaggedError<InvalidMessageId>()("InvalidMessageId", {
  /** The text that was given. */
  msgId: Schema.String
}) {
  override get message() {
    return `"${ForeignText.clean(this.msgId)}" is no offset message id: those are 32 or 56 hexadecimal digits, and a send's result has them as offsetMsgId.`
  }
}

/** A broker that the name server does not know, or that has no master at present. */
export class UnknownBroker extends Schema.TaggedError<UnknownBroker>()("UnknownBroker", {
  /** The name that was asked for. */
  brokerName: Schema.String,
  /** The brokers that have a master. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = this.brokers.length === 0 ? "none" : NameList.text(this.brokers)
    return `There is no broker "${this.brokerName}" with a master at present; those with one: ${known}.`
  }
}

/** More brokers than can be worked through. Nothing was asked of any of them. */
export class TooManyBrokers extends Schema.TaggedError<TooManyBrokers>()("TooManyBrokers", {
  /** Whose brokers they are: `topic orders`, `the name server's clusters`. */
  subject: Schema.String,
  /** How many there are. */
  brokers: Schema.Number
}) {
  override get message() {
    return `There are ${this.brokers} brokers of ${this.subject}, and at most ${MAX_BROKERS} are worked through. Check who answers as name server.`
  }
}

/** Brokers that answered more than one call can hold. What they had answered was thrown away. */
export class TooMuchAnswered extends Schema.TaggedError<TooMuchAnswered>()("TooMuchAnswered", {
  /** What was asked for: `the groups`, `messages of topic orders`. */
  subject: Schema.String,
  /** Bytes that the answers had by then. */
  bytes: Schema.Number,
  /** Bytes that they may have together. */
  limit: Schema.Number,
  /** How many brokers had answered. */
  answered: Schema.Number,
  /** How many were to be asked. */
  brokers: Schema.Number
}) {
  override get message() {
    return `The first ${this.answered} of ${this.brokers} brokers answered ${this.bytes} bytes about ${this.subject}, and at most ${this.limit} are held. Ask for less at a time, or check who answers as broker.`
  }
}

/** A topic that no broker has, as the brokers say. */
export class TopicNotFound extends Schema.TaggedError<TopicNotFound>()("TopicNotFound", {
  /** The topic, as it was given. */
  topic: Schema.String
}) {
  override get message() {
    return `No broker that was asked has topic "${this.topic}".`
  }
}

/** A topic that some broker has already, where one was to be created. Nothing was changed. */
export class TopicAlreadyExists extends Schema.TaggedError<TopicAlreadyExists>()("TopicAlreadyExists", {
  /** The topic that was to be created. */
  topic: Schema.String,
  /** The masters that have it, each with what it has: `broker-a (16 read, 16 write queues, perm 6)`. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message() {
    return `Topic "${this.topic}" exists already on ${NameList.text(this.brokers)}. Nothing was changed.`
  }
}

/** A consumer group that some broker has already, where one was to be created. Nothing was changed. */
export class GroupAlreadyExists extends Schema.TaggedError<GroupAlreadyExists>()("GroupAlreadyExists", {
  /** The group that was to be created. */
  group: Schema.String,
  /** The masters that have it, by name. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message() {
    return `Group "${this.group}" exists already on ${NameList.text(this.brokers)}. Nothing was changed.`
  }
}

/** A consumer group that no broker has, where it was to be changed. Nothing was changed. */
export class GroupNotFound extends Schema.TaggedError<GroupNotFound>()("GroupNotFound", {
  /** The group, as it was given. */
  group: Schema.String
}) {
  override get message() {
    return `No broker has a group "${this.group}".`
  }
}

/** Settings that a server was to change and does not have: it would have said yes, and done nothing. Nothing was changed. */
export class UnknownSetting extends Schema.TaggedError<UnknownSetting>()("UnknownSetting", {
  /** The broker, or `host:port` of the name server. */
  server: Schema.String,
  /** The names that it does not know. */
  names: Schema.Array(Schema.String),
  /** Names that it knows and that are like them. */
  similar: Schema.Array(Schema.String)
}) {
  override get message() {
    const like = this.similar.length === 0 ? "" : ` It has ${NameList.text(this.similar)}.`
    return `${this.server} has no setting ${NameList.text(this.names)}.${like} Nothing was changed.`
  }
}

/** A broker that keeps no users and rights which a client could see or change. Nothing was changed there. */
export class NoAccessControl extends Schema.TaggedError<NoAccessControl>()("NoAccessControl", {
  /** The broker, by name. */
  brokerName: Schema.String,
  /** `host:port` at which it was asked. */
  address: Schema.String,
  /** `release`: it does not know these requests, which came with 5.3.0; `disabled`: its access control is not set up. */
  problem: Schema.Literals(["release", "disabled"])
}) {
  override get message() {
    const why =
      this.problem === "release"
        ? "does not know users and rights, which brokers have from 5.3.0 on; before that they stand in its conf/plain_acl.yml"
        : "keeps no users: its settings name no authenticationMetadataProvider and authorizationMetadataProvider"
    return `Broker ${this.brokerName} (${this.address}) ${why}.`
  }
}

/** A queue number of an order configuration for a broker that does not have so many queues. Nothing was changed. */
export class InvalidOrderConf extends Schema.TaggedError<InvalidOrderConf>()("InvalidOrderConf", {
  /** The topic. */
  topic: Schema.String,
  /** What is wrong: `broker-a has 4 queues to write, 8 were named`. */
  problem: Schema.String
}) {
  override get message() {
    return `The order configuration of topic "${this.topic}" cannot be used: ${this.problem}. Nothing was changed.`
  }
}

/** No message has the id. Brokers find a message by its id for as long as it and its index entry are kept. */
export class MessageNotFound extends Schema.TaggedError<MessageNotFound>()("MessageNotFound", {
  /** The topic that was searched. */
  topic: Schema.String,
  /** The id that was searched for. */
  msgId: Schema.String,
  /** The brokers that were asked. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message() {
    return `No message of topic "${this.topic}" has the id ${ForeignText.clean(this.msgId)}; asked: ${NameList.text(this.brokers)}. A message just sent is indexed within a second.`
  }
}

/** Nobody of a consumer group is online, so that nobody can be asked. */
export class ConsumerNotOnline extends Schema.TaggedError<ConsumerNotOnline>()("ConsumerNotOnline", {
  /** The group. */
  group: Schema.String
}) {
  override get message() {
    return `No member of group "${this.group}" is online. Start one.`
  }
}

/** A text that was given to the call is no well-formed UTF-16, so that no server can be sent it. Nothing was asked. */
export class InvalidText extends Schema.TaggedError<InvalidText>()("InvalidText", {
  /** Where it stands in what the call was given: `[0]` is the first argument, `[0].topic` a part of it. */
  at: Schema.String
}) {
  override get message() {
    return `The text at ${this.at} of what the call was given ${ILL_FORMED}. Nothing was asked; correct the text.`
  }
}

/** Everything that can keep an administrative call from succeeding. */
export const AdminReason = Schema.Union([
  NoNameServer,
  NameServerUnavailable,
  RouteUnavailable,
  BrokerNotExist,
  UnknownCluster,
  NoMaster,
  InvalidMessageId,
  InvalidText,
  UnknownBroker,
  AddressRefused,
  TooManyBrokers,
  TooMuchAnswered,
  TopicNotFound,
  TopicAlreadyExists,
  GroupAlreadyExists,
  GroupNotFound,
  UnknownSetting,
  NoAccessControl,
  InvalidOrderConf,
  MessageNotFound,
  ConsumerNotOnline,
  ...ApiError.members
])

/** See {@link AdminReason}. */
export type AdminReason = typeof AdminReason.Type

/** An administrative call that failed: which one, why, and how far it had got. Source: RocketMQ `MQClientException`. */
export class AdminError extends Schema.TaggedError<AdminError>()("AdminError", {
  /** What was asked for: `create topic orders`. */
  operation: Schema.String,
  /** The servers on which it had succeeded by then, for calls that go to several. */
  done: Schema.Array(Schema.String),
  /** Why; take it apart with `Effect.catchReason`. */
  reason: AdminReason
}) {
  override get message() {
    const partly = this.done.length === 0 ? "" : ` It was done on ${NameList.text(this.done)} already.`
    return `Could not ${this.operation}: ${this.reason.message}${partly}`
  }
}
