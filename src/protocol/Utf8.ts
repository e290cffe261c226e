/**
 * The text that Java reads from bytes, `new String(bytes, UTF_8)`: what is no UTF-8 is read as U+FFFD. Node does the same
 * but for the three bytes of a surrogate, which are one U+FFFD in Java and three here.
 */
const REPLACEMENTS = "\ufffd\ufffd\ufffd"

/** Reads the text of the bytes from `start` up to `end`; undefined when they cannot be read. */
export type TextReader = (bytes: Buffer, start: number, end: number) => string | undefined

/** Whether the three bytes from `at` on are those of a surrogate. */
const isSurrogate = (bytes: Buffer, at: number, end: number): boolean =>
  at + 2 < end && bytes[at] === 0xed && ((bytes[at + 1] ?? 0) & 0xe0) === 0xa0 && ((bytes[at + 2] ?? 0) & 0xc0) === 0x80

/** The text of the bytes from `start` up to `end`. */
export const read = (bytes: Buffer, start: number, end: number): string => {
  const text = bytes.toString("utf8", start, end)
  if (!text.includes(REPLACEMENTS)) return text
  const parts: Array<string> = []
  let from = start
  for (let at = start; at < end; at++) {
    if (!isSurrogate(bytes, at, end)) continue
    parts.push(bytes.toString("utf8", from, at), "\ufffd")
    at += 2
    from = at + 1
  }
  return parts.join("") + bytes.toString("utf8", from, end)
}
