import type { Message } from "../../message/Message.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { QueueSelector } from "../queue/QueueSelector.ts"
import { QueueSelectorFailed } from "./SendError.ts"
import { problemOfQueue } from "./SendOptions.ts"

/** The queue that a selector chooses for a message; whatever goes wrong in the selector is a typed failure. */
export const choose = (
  selector: QueueSelector,
  queues: ReadonlyArray<MessageQueue>,
  topic: string,
  message: Message,
  chance: () => number
): MessageQueue | QueueSelectorFailed => {
  const bad = (problem: QueueSelectorFailed["problem"], detail: string, cause?: unknown) =>
    new QueueSelectorFailed({ topic, problem, detail, cause })
  let queue: MessageQueue | undefined
  try {
    queue = selector(queues, message, chance)
  } catch (cause) {
    return bad("threw", `it threw ${cause instanceof Error ? cause.message : JSON.stringify(cause)}`, cause)
  }
  if (queue === undefined) return bad("no-queue", `it chose none of the ${queues.length} queues`)
  const problem = problemOfQueue(topic, queue)
  return problem === undefined ? queue : bad("wrong-queue", `the queue that it gave ${problem}`)
}
