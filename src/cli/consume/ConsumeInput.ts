import type { ConsumeFromWhere } from "../../consumer/offset/StartOffset.ts"
import type { Connection } from "../Connection.ts"
import type { Form } from "../MessageForm.ts"

/** What `consume` is asked. */
export interface ConsumeInput extends Connection {
  readonly topic: string
  readonly group: string
  readonly expression: string | undefined
  readonly sql: string | undefined
  readonly from: ConsumeFromWhere
  readonly orderly: boolean
  readonly broadcast: boolean
  readonly concurrency: number
  /** End after so many distinct acknowledged messages. */
  readonly count: number | undefined
  /** End when nothing was delivered for so many milliseconds. */
  readonly idleTimeout: number | undefined
  /** Give each message back at its first so many deliveries. */
  readonly failFirst: number
  /** A command for the shell, run once for each message. */
  readonly exec: string | undefined
  /** A command for the shell that answers a message a line. */
  readonly execLines: string | undefined
  /** Milliseconds that a command may take over a message. */
  readonly execTimeout: number
  /** Wait for a topic that is not there. */
  readonly wait: boolean
  readonly quiet: boolean
  /** How messages are printed; undefined for the line for people. */
  readonly format: Form | undefined
  readonly json: boolean
}
