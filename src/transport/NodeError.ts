import * as ForeignText from "../message/ForeignText.ts"

/**
 * What the platform reported of a socket, fit to be shown. A resolver's words and the addresses in its answer, and the names
 * in a server's certificate, are a peer's; Node puts them into its errors, the whole certificate among them.
 */

/** What Node says beside the message. */
const DETAILS: ReadonlyArray<string> = [
  "code",
  "errno",
  "syscall",
  "address",
  "port",
  "hostname",
  "host",
  "reason",
  "library"
]
/** Characters of a message, and of what stands beside it. */
const MAX_TEXT = 500
/** Of errors that came together, as of all addresses of a host name, so many are kept. */
const MAX_ERRORS = 8

const detailOf = (value: unknown): unknown => (typeof value === "string" ? ForeignText.clean(value, MAX_TEXT) : value)

/** Where it was made; a message can have lines that look like that. */
const framesOf = ({ message, stack = "" }: Error): string => {
  const at = stack.indexOf(message)
  const frames = at < 0 ? "" : stack.slice(at + message.length)
  return frames.split("\n").every(ForeignText.isClean) ? frames : ""
}

/** An error of Node or of its libraries without what a peer wrote into it; anything else as it is. */
export const clean = (cause: unknown): unknown => {
  if (!(cause instanceof Error) || "_tag" in cause) return cause
  const message = ForeignText.clean(cause.message, MAX_TEXT)
  const error =
    cause instanceof AggregateError
      ? new AggregateError(cause.errors.slice(0, MAX_ERRORS).map(clean), message)
      : new Error(message)
  for (const name of DETAILS) {
    const value: unknown = Reflect.get(cause, name)
    if (typeof value === "string" || typeof value === "number") Object.assign(error, { [name]: detailOf(value) })
  }
  error.stack = `${cause.name}: ${message}${framesOf(cause)}`
  return error
}
