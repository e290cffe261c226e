/**
 * One queue of a topic on one broker: the place a message is sent to and read from.
 *
 * Source: RocketMQ `MessageQueue`.
 */
export interface MessageQueue {
  /** The topic. */
  readonly topic: string
  /** The broker's name, which a master and its slaves share. */
  readonly brokerName: string
  /** 0 up to the topic's queue count on this broker. */
  readonly queueId: number
}

/** Builds a {@link MessageQueue}. */
export const make = (topic: string, brokerName: string, queueId: number): MessageQueue => ({
  topic,
  brokerName,
  queueId
})

/** A text that is equal for equal queues, for use as a key. */
export const key = (queue: MessageQueue): string => `${queue.topic}@${queue.brokerName}@${queue.queueId}`

/** Whether two queues are the same place. */
export const equals = (a: MessageQueue, b: MessageQueue): boolean =>
  a.queueId === b.queueId && a.brokerName === b.brokerName && a.topic === b.topic

/** The order every client lists queues in: by topic, then broker name, then queue id. */
export const compare = (a: MessageQueue, b: MessageQueue): number =>
  a.topic !== b.topic
    ? a.topic < b.topic
      ? -1
      : 1
    : a.brokerName !== b.brokerName
      ? a.brokerName < b.brokerName
        ? -1
        : 1
      : a.queueId - b.queueId
