import { ENTRY_SIZE, MAX_KV_SIZE } from "../server/Limits.ts"

/** The small key-value store of a name server, by namespace. Source: RocketMQ `KVConfigManager`. */
export interface KVConfig {
  /** Keeps a value; false, and nothing changes, when there is no room for it. */
  readonly put: (namespace: string, key: string, value: string) => boolean
  readonly get: (namespace: string, key: string) => string | undefined
  readonly remove: (namespace: string, key: string) => void
  /** All entries of a namespace, or `undefined` when it never had one. */
  readonly list: (namespace: string) => ReadonlyMap<string, string> | undefined
}

const sizeOf = (namespace: string, key: string, value: string | undefined): number =>
  value === undefined ? 0 : namespace.length + key.length + value.length + ENTRY_SIZE

/** Builds an empty store. */
export const make = (): KVConfig => {
  const table = new Map<string, Map<string, string>>()
  let size = 0
  return {
    put: (namespace, key, value) => {
      const entries = table.get(namespace)
      const next = size - sizeOf(namespace, key, entries?.get(key)) + sizeOf(namespace, key, value)
      if (next > MAX_KV_SIZE) return false
      size = next
      if (entries === undefined) table.set(namespace, new Map([[key, value]]))
      else entries.set(key, value)
      return true
    },
    get: (namespace, key) => table.get(namespace)?.get(key),
    remove: (namespace, key) => {
      const entries = table.get(namespace)
      size -= sizeOf(namespace, key, entries?.get(key))
      entries?.delete(key)
    },
    list: (namespace) => table.get(namespace)
  }
}
