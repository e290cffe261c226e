import { Effect } from "effect"
import { isOneway } from "../../protocol/RemotingCommand.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import type { Connection } from "../../transport/Connection.ts"
import { ConnectionClosed } from "../../transport/RemotingError.ts"
import { answer } from "../../transport/RequestHandling.ts"

/** What a server does to one request instead of, or besides, handling it. Several can be combined. */
export type FaultAction =
  /** Do not handle the request; answer this. */
  | { readonly _tag: "Answer"; readonly response: Response }
  /** Wait before anything else; several add up. */
  | { readonly _tag: "Delay"; readonly millis: number }
  /** Neither handle nor answer. */
  | { readonly _tag: "DropRequest" }
  /** Handle, but do not answer. */
  | { readonly _tag: "DropResponse" }
  /** Answer twice. */
  | { readonly _tag: "DuplicateResponse" }
  /** Answer with a frame whose header cannot be read. */
  | { readonly _tag: "CorruptResponse" }
  /** Close the connection before handling, or after it without an answer. */
  | { readonly _tag: "Cut"; readonly when: "before" | "after" }

/** Ends a connection from this side; what was not written yet is lost. */
export const cut = (connection: Connection, reason: string): void => {
  const cause = new Error(reason)
  connection.shutdown((sent) => new ConnectionClosed({ address: connection.address, sent, cause }), cause)
}

/** Handles one request with the faults that were chosen for it. */
export const withFaults = (
  actions: ReadonlyArray<FaultAction>,
  on: {
    readonly command: RemotingCommand
    readonly connection: Connection
    readonly handler: () => Effect.Effect<Response | undefined>
  }
): Effect.Effect<void> => {
  const { command, connection } = on
  let delay = 0
  let handler: (() => Effect.Effect<Response | undefined>) | undefined = on.handler
  let copies = 1
  let corrupt = false
  let cutAfter = false
  for (const action of actions) {
    switch (action._tag) {
      case "Answer":
        handler = () => Effect.succeed(action.response)
        break
      case "Delay":
        delay += action.millis
        break
      case "DropRequest":
        handler = undefined
        break
      case "DropResponse":
        copies = 0
        break
      case "DuplicateResponse":
        copies *= 2
        break
      case "CorruptResponse":
        corrupt = true
        break
      case "Cut":
        if (action.when === "before") handler = undefined
        cutAfter = true
        copies = 0
        break
    }
  }
  const respond = (response: Response | undefined) => {
    if (response === undefined || isOneway(command)) return
    for (let n = 0; n < copies; n++) connection.respond(command.opaque, response, corrupt)
  }
  const handled = handler === undefined ? Effect.void : answer(handler, respond)
  const faulty = cutAfter
    ? Effect.andThen(
        handled,
        Effect.sync(() => cut(connection, "cut by a fault"))
      )
    : handled
  return delay > 0 ? Effect.andThen(Effect.sleep(delay), faulty) : faulty
}
