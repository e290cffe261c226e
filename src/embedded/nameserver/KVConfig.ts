/** The small key-value store of a name server, by namespace. Source: RocketMQ `KVConfigManager`. */
export interface KVConfig {
  readonly put: (namespace: string, key: string, value: string) => void
  readonly get: (namespace: string, key: string) => string | undefined
  readonly remove: (namespace: string, key: string) => void
  /** All entries of a namespace, or `undefined` when it never had one. */
  readonly list: (namespace: string) => ReadonlyMap<string, string> | undefined
}

/** Builds an empty store. */
export const make = (): KVConfig => {
  const table = new Map<string, Map<string, string>>()
  return {
    put: (namespace, key, value) => {
      const entries = table.get(namespace)
      if (entries === undefined) table.set(namespace, new Map([[key, value]]))
      else entries.set(key, value)
    },
    get: (namespace, key) => table.get(namespace)?.get(key),
    remove: (namespace, key) => {
      table.get(namespace)?.delete(key)
    },
    list: (namespace) => table.get(namespace)
  }
}
