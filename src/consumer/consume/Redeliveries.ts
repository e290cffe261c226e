import type { MessageExt } from "../../message/MessageExt.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"

/** How many messages are remembered; the oldest are forgotten then. */
const MAX_REMEMBERED = 10_000

type Identified = Pick<MessageExt, "msgId" | "properties">

/** What a message keeps when it comes again. */
const idOf = ({ msgId, properties }: Identified): string =>
  properties[MessageConst.UNIQ_KEY] ?? properties[MessageConst.ORIGIN_MESSAGE_ID] ?? msgId

/** The messages that a consumer has given back and that have not come again: for tests, which wait for them. */
export class Redeliveries {
  /** By id, the broker from whose retry topic it will come; undefined where it may be any. */
  private readonly pending = new Map<string, string | undefined>()

  /** A broker has taken a message, which is to come again. */
  add(message: Identified, brokerName: string | undefined): void {
    const [oldest] = this.pending.size >= MAX_REMEMBERED ? this.pending.keys() : []
    if (oldest !== undefined) this.pending.delete(oldest)
    this.pending.set(idOf(message), brokerName)
  }

  /** A message has come again. */
  arrived(message: Identified): void {
    if (this.pending.size > 0) this.pending.delete(idOf(message))
  }

  /** Whether one is to come from a broker of which that is said, or from any. */
  some(isOurs: (brokerName: string | undefined) => boolean): boolean {
    for (const brokerName of this.pending.values()) if (isOurs(brokerName)) return true
    return false
  }
}
