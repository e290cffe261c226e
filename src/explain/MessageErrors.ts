import type { TopicDecodeError, TopicEncodeError } from "../message/Topic.ts"
import type { Explainers } from "./Explanation.ts"

/** What a typed topic can fail with. */
export type MessageReason = TopicEncodeError | TopicDecodeError

const unreadable: { readonly [K in TopicDecodeError["kind"]]: string } = {
  codec: "the message is written in a codec that its topic does not read",
  compressed: "the body of the message is still packed",
  utf8: "the body of the message is no text",
  schema: "the body of the message does not fit the schema of its topic"
}

/** How the errors of `message/` are explained. */
export const messageExplainers: Explainers<MessageReason> = {
  TopicEncodeError: (e) => ({
    cause: "the value does not fit the schema of its topic",
    evidence: [`topic: ${e.topic}`, e.issue],
    remedy: "Correct the value or the schema."
  }),
  TopicDecodeError: (e) => ({
    cause: unreadable[e.kind],
    evidence: [`topic: ${e.topic}`, ...(e.msgId === undefined ? [] : [`message id: ${e.msgId}`]), e.issue],
    remedy:
      e.kind === "compressed"
        ? "Unpack the body first; messages that the administrator or a consumer gives are unpacked already."
        : "Read the topic with the schema and version that its senders write; the message itself stays as it is."
  })
}
