import type { MessageQueue } from "../message/MessageQueue.ts"

/** The queues that `3` or `broker-a:3` names; all of them when absent. */
export const selected = (
  queues: ReadonlyArray<MessageQueue>,
  wanted: string | undefined
): ReadonlyArray<MessageQueue> => {
  if (wanted === undefined) return queues
  const colon = wanted.lastIndexOf(":")
  const id = Number(wanted.slice(colon + 1))
  const brokerName = colon < 0 ? undefined : wanted.slice(0, colon)
  return queues.filter((q) => q.queueId === id && (brokerName === undefined || q.brokerName === brokerName))
}
