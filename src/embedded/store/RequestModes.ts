import type { MessageRequestMode } from "../../protocol/request/SetMessageRequestMode.ts"
import { ENTRY_SIZE, MAX_TABLE_SIZE } from "../server/Limits.ts"

/** How groups read topics, where somebody has chosen it. Source: RocketMQ `MessageRequestModeManager`. */
export interface RequestModes {
  /** Keeps what was chosen; false, and nothing is kept, when there is no room for one more. */
  readonly set: (mode: MessageRequestMode) => boolean
  /** What was chosen for the topic and the group. */
  readonly get: (topic: string, group: string) => MessageRequestMode | undefined
}

const keyOf = (topic: string, group: string): string => JSON.stringify([topic, group])

/** Builds an empty table. */
export const make = (): RequestModes => {
  const table = new Map<string, MessageRequestMode>()
  let size = 0
  return {
    set: (mode) => {
      const key = keyOf(mode.topic, mode.consumerGroup)
      if (!table.has(key)) {
        const more = key.length + ENTRY_SIZE
        if (size + more > MAX_TABLE_SIZE) return false
        size += more
      }
      table.set(key, mode)
      return true
    },
    get: (topic, group) => table.get(keyOf(topic, group))
  }
}
