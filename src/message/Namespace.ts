import { DLQ_GROUP_TOPIC_PREFIX, isSystemTopic, RETRY_GROUP_TOPIC_PREFIX } from "./MixAll.ts"

/**
 * Namespaces of the first kind: topics and groups carry the namespace in their names, as `<namespace>%<name>`, behind
 * `%RETRY%` or `%DLQ%` if the name has that. Applied where a name goes on the wire, removed where it comes from there, so
 * that users never see it.
 *
 * Source: RocketMQ `NamespaceUtil`.
 */

const SEPARATOR = "%"
/** Groups of RocketMQ itself. Source: RocketMQ `MixAll.isSysConsumerGroup`. */
const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_"

const prefixOf = (name: string): string =>
  name.startsWith(RETRY_GROUP_TOPIC_PREFIX)
    ? RETRY_GROUP_TOPIC_PREFIX
    : name.startsWith(DLQ_GROUP_TOPIC_PREFIX)
      ? DLQ_GROUP_TOPIC_PREFIX
      : ""

/** Whether a topic or group is RocketMQ's own, and so the same in all namespaces. */
export const isSystemResource = (name: string): boolean => isSystemTopic(name) || name.startsWith(SYSTEM_GROUP_PREFIX)

/** Whether a topic or group carries this namespace. */
export const isWrapped = (namespace: string, name: string): boolean =>
  name.startsWith(namespace + SEPARATOR, prefixOf(name).length)

/**
 * The name of a topic or group on the wire. A name that carries the namespace already, an empty one, and what belongs to
 * RocketMQ itself stay as they are; so does everything when there is no namespace.
 */
export const wrap = (namespace: string | undefined, name: string): string => {
  if (namespace === undefined || namespace === "" || name === "") return name
  if (isSystemResource(name) || isWrapped(namespace, name)) return name
  const prefix = prefixOf(name)
  return prefix + namespace + SEPARATOR + name.slice(prefix.length)
}

/** The name of a topic or group as users know it. A name of another namespace, or of none, stays as it is. */
export const unwrap = (namespace: string | undefined, name: string): string => {
  if (namespace === undefined || namespace === "" || !isWrapped(namespace, name)) return name
  const prefix = prefixOf(name)
  return prefix + name.slice(prefix.length + namespace.length + SEPARATOR.length)
}
