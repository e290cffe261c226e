/**
 * The named text fields of a command's header ("custom header"), own properties only. All values are text, numbers and
 * booleans too.
 *
 * Source: RocketMQ `RemotingCommand.extFields`.
 */
export type ExtFields = Readonly<Record<string, string>>

/** Sets an own field whatever its name: a plain assignment to `__proto__` would change the prototype instead. */
export const setField = (fields: Record<string, string>, name: string, value: string): void => {
  if (name === "__proto__") {
    Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true })
  } else fields[name] = value
}
