import { type ExtFields, setField } from "../../protocol/ExtFields.ts"
import type { RemotingCommand } from "../../protocol/RemotingCommand.ts"

/**
 * What a broker makes of half of a surrogate pair, which a header in JSON can hold as an escape: Java has no bytes for it
 * either and writes `?`, into its log and into what it compares a signature with.
 *
 * Source: `String.getBytes(UTF_8)`; both releases keep the same.
 */
const written = (text: string): string => (text.isWellFormed() ? text : text.replace(/\p{Cs}/gu, "?"))

const fieldsWritten = (fields: ExtFields): ExtFields => {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields)) setField(out, written(name), written(value))
  return out
}

const isWellFormed = (fields: ExtFields): boolean => {
  for (const name in fields) {
    if (!name.isWellFormed() || fields[name]?.isWellFormed() === false) return false
  }
  return true
}

/** The request as Java writes what it read of it; the same where all its text is well-formed. */
export const asWritten = (command: RemotingCommand): RemotingCommand => {
  const { extFields } = command
  return extFields === undefined || isWellFormed(extFields)
    ? command
    : { ...command, extFields: fieldsWritten(extFields) }
}
