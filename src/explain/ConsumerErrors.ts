import type { ConsumerFailed } from "../consumer/ConsumerFailed.ts"
import type { OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
import type { Explainers } from "./Explanation.ts"

/** What only a consumer meets. */
export type ConsumerReason = ConsumerFailed | OffsetStoreError

/** How the errors of `consumer/` are explained. */
export const consumerExplainers: Explainers<ConsumerReason> = {
  ConsumerFailed: (e) => ({
    cause: "the consumer has a problem for which onProblem says that it is over",
    evidence: [`group: ${e.group}`, `about: ${e.key}`, `problem: ${e.problem}`],
    remedy:
      "Do what the problem asks for, then start the consumer again: it goes on where the group's offsets are. A problem that goes by itself should be answered with `continue`."
  }),
  OffsetStoreError: (e) => ({
    cause: e.operation === "load" ? "the offset of a queue could not be read" : "the offset of a queue was not written",
    evidence: [`group: ${e.group}`, `queue: ${e.queue}`, `said: ${e.detail}`],
    remedy:
      "Nothing is lost: it is tried again, and until then the queue waits (load) or its messages may come twice after a restart (persist). Look at the store, or at the queue's broker."
  })
}
