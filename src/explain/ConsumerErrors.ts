import type { ConsumerFailed } from "../consumer/ConsumerFailed.ts"
import type { OffsetFileError } from "../consumer/offset/LocalOffsetStore.ts"
import type { OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
import type { Explainers } from "./Explanation.ts"

/** What only a consumer meets. */
export type ConsumerReason = ConsumerFailed | OffsetFileError | OffsetStoreError

/** How the errors of `consumer/` are explained. */
export const consumerExplainers: Explainers<ConsumerReason> = {
  ConsumerFailed: (e) => ({
    cause: "the consumer has a problem for which onProblem says that it is over",
    evidence: [`group: ${e.group}`, `about: ${e.key}`, `problem: ${e.problem}`],
    remedy:
      "Do what the problem asks for, then start the consumer again: it goes on where the group's offsets are. A problem that goes by itself should be answered with `continue`."
  }),
  OffsetFileError: (e) => ({
    cause: `an offsets file cannot be used: it is ${e.problem}`,
    evidence: [`file: ${e.path}`, `found: ${e.detail}`],
    remedy: {
      damaged:
        "Put a copy of it in its place, or delete it and its .bak: the consumer then begins where consumeFromWhere says. Until then it reads nothing.",
      taken:
        "Give each process an identity of its own. Until then the process that opened the file first keeps its offsets in memory only.",
      absent: "Correct importFrom, or leave it out: the consumer then begins where consumeFromWhere says.",
      full: "Queues that are gone for good keep their places: while no process uses the file, delete them from it."
    }[e.problem]
  }),
  OffsetStoreError: (e) => ({
    cause: e.operation === "load" ? "the offset of a queue could not be read" : "the offset of a queue was not written",
    evidence: [`group: ${e.group}`, `queue: ${e.queue}`, `said: ${e.detail}`],
    remedy:
      "Nothing is lost: it is tried again, and until then the queue waits (load) or its messages may come twice after a restart (persist). Look at the store, or at the queue's broker."
  })
}
