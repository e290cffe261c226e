import { readHost } from "../message/HostAddress.ts"
import * as MessageProperties from "./MessageProperties.ts"
import * as Utf8 from "./Utf8.ts"

/** A topic that is longer is read anew each time. */
const MAX_TOPIC_LENGTH = 255

/** An address of the hosts of messages, by its bytes. */
interface Host {
  readonly ip: number
  readonly port: number
  readonly text: string
}

/** Each byte in hexadecimal digits. */
const DIGITS: ReadonlyArray<string> = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).toUpperCase().padStart(2, "0")
)

/** The four bytes at `at` in hexadecimal digits. */
const hex32 = (b: Buffer, at: number): string =>
  `${DIGITS[b[at] ?? 0]}${DIGITS[b[at + 1] ?? 0]}${DIGITS[b[at + 2] ?? 0]}${DIGITS[b[at + 3] ?? 0]}`

/**
 * What the messages of one answer share, so that it is read once and not for each of them: the topic, the hosts, and the
 * names of the properties, which a sender and a broker write in one order. What differs from the message before is read as
 * ever. To make a text of bytes, and then to find the one that is equal to it, is what takes longest of reading a message.
 *
 * One for each answer, so that nothing of it is kept.
 */
export class SharedTexts {
  private topicText = ""
  private topicAt = 0
  private topicEnd = 0
  private born: Host | undefined
  private store: Host | undefined
  /** The beginning of the ids: a host, and the high half of an offset. */
  private idStart = ""
  private idHost: Host | undefined
  private idHigh = 0
  private readonly names: Array<string> = []

  /** The topic in the bytes from `start` up to `end`. */
  topic(b: Buffer, start: number, end: number): string {
    const length = end - start
    if (length === this.topicEnd - this.topicAt && length <= MAX_TOPIC_LENGTH) {
      let same = 0
      while (same < length && b[start + same] === b[this.topicAt + same]) same++
      if (same === length) return this.topicText
    }
    this.topicAt = start
    this.topicEnd = end
    this.topicText = Utf8.read(b, start, end)
    return this.topicText
  }

  /** The host of the sender at `at`. */
  bornHost(b: Buffer, at: number, v6: boolean): string {
    if (v6) return readHost(b, at, v6)
    this.born = this.hostAt(b, at, this.born)
    return this.born.text
  }

  /** The host of the broker at `at`. */
  storeHost(b: Buffer, at: number, v6: boolean): string {
    if (v6) return readHost(b, at, v6)
    this.store = this.hostAt(b, at, this.store)
    return this.store.text
  }

  /** The broker's id of a message: its host and its offset in the log, as they stand here, in hexadecimal digits. */
  offsetMsgId(b: Buffer, storeHostAt: number, v6: boolean, offsetAt: number): string {
    if (v6)
      return (
        b.toString("hex", storeHostAt, storeHostAt + 20) + b.toString("hex", offsetAt, offsetAt + 8)
      ).toUpperCase()
    const high = b.readInt32BE(offsetAt)
    this.store = this.hostAt(b, storeHostAt, this.store)
    if (this.idHost !== this.store || this.idHigh !== high) {
      this.idHost = this.store
      this.idHigh = high
      this.idStart = hex32(b, storeHostAt) + hex32(b, storeHostAt + 4) + hex32(b, offsetAt)
    }
    return this.idStart + hex32(b, offsetAt + 4)
  }

  /** The properties in the bytes from `start` up to `end`. */
  properties(b: Buffer, start: number, end: number): Record<string, string> {
    return MessageProperties.decode(Utf8.read(b, start, end), this.names)
  }

  private hostAt(b: Buffer, at: number, last: Host | undefined): Host {
    const ip = b.readInt32BE(at)
    const port = b.readInt32BE(at + 4)
    if (last !== undefined && ip === last.ip && port === last.port) return last
    return { ip, port, text: readHost(b, at, false) }
  }
}
