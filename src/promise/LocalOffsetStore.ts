import { Effect, Layer } from "effect"
import * as Store from "../consumer/offset/LocalOffsetStore.ts"
import type { PlainOffsetStore } from "./ConsumerOptions.ts"
import { run } from "./Run.ts"

/** Where a broadcasting consumer keeps its offsets for code without Effect; by default that is in memory. */
export const LocalOffsetStore = {
  /**
   * Offsets in a file, in the form of Java's `offsets.json`: see `LocalOffsetStore.file` of `effect-rocketmq`. Each consumer needs
   * one of its own. Rejected with `InvalidConfig` when an option cannot be used.
   */
  file: async (options: Store.LocalOffsetFileOptions): Promise<PlainOffsetStore> => {
    // Loaded only here: most clients need no files.
    const [fs, path] = await Promise.all([
      import("@effect/platform-node/NodeFileSystem"),
      import("@effect/platform-node/NodePath")
    ])
    const store = await run(Effect.provide(Store.file(options), Layer.merge(fs.layer, path.layer)), undefined)
    return {
      load: (group, queue) => run(store.load(group, queue), undefined),
      persist: (group, entry) => run(store.persist(group, entry), undefined)
    }
  }
}
