import type { MessageInput } from "../../message/Message.ts"
import type { SendOptions } from "../send/SendOptions.ts"

/** Options of a request: those of its send; the time is a parameter of its own. */
export type RequestOptions = Omit<SendOptions, "timeoutMillis">

/** What is replied: a body, or a message whose topic is the reply topic. */
export type ReplyInput = string | Uint8Array | Omit<MessageInput, "topic">

/** Where the replies of a cluster's clients pass. Source: RocketMQ `MixAll.getReplyTopic`. */
export const replyTopic = (clusterName: string): string => `${clusterName}_REPLY_TOPIC`
