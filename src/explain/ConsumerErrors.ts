import type { OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
import type { Explainers } from "./Explanation.ts"

/** What only a consumer meets. */
export type ConsumerReason = OffsetStoreError

/** How the errors of `consumer/` are explained. */
export const consumerExplainers: Explainers<ConsumerReason> = {
  OffsetStoreError: (e) => ({
    cause: e.operation === "load" ? "the offset of a queue could not be read" : "the offset of a queue was not written",
    evidence: [`group: ${e.group}`, `queue: ${e.queue}`, `said: ${e.detail}`],
    remedy:
      "Nothing is lost: it is tried again, and until then the queue waits (load) or its messages may come twice after a restart (persist). Look at the store, or at the queue's broker."
  })
}
