import { Cause, Effect } from "effect"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import { RequestTimeout, RpcHookFailed, withCallersTime } from "./RemotingError.ts"
import type { RemotingError } from "./RemotingError.ts"
import { invoke, invokeOneway } from "./Requests.ts"
import type { Requests } from "./Requests.ts"
import type { RpcHook } from "./RpcHook.ts"

/** Takes requests through a hook on their way out, and their answers past it. */
export interface HookedRequests {
  /** Sends requests as the hook wants them, in the time that the hook leaves, and tells it of the answers. */
  readonly start: (start: Requests["start"]) => Requests["start"]
  /** The same for requests that have no answers. */
  readonly startOneway: (startOneway: Requests["startOneway"]) => Requests["startOneway"]
}

/** Without a hook requests pass unchanged and at no cost. */
const unhooked: HookedRequests = { start: (start) => start, startOneway: (startOneway) => startOneway }

/** Makes what a hook does to the requests of a client; `now` is the monotonic clock in milliseconds. */
export const makeHookedRequests = (rpcHook: RpcHook | undefined, now: () => number): HookedRequests => {
  if (rpcHook === undefined) return unhooked

  /** Sends the request as the hook wants it, in the time that the hook leaves. */
  const signed = <A>(
    address: string,
    request: Request,
    timeoutMillis: number,
    send: (request: Request, leftMillis: number) => Effect.Effect<A, RemotingError>
  ): Effect.Effect<A, RemotingError> =>
    Effect.suspend(() => {
      const { body, code, extFields, remark } = request
      const failed = (cause: unknown) => Effect.fail(new RpcHookFailed({ address, code, cause }))
      try {
        // The pre-encoded fields would lack what the hook adds.
        const plain = { code, remark, extFields, body }
        const sent = rpcHook.doBeforeRequest?.(address, plain) ?? plain
        if (!Effect.isEffect(sent)) return send(sent, timeoutMillis)
        const begin = now()
        return sent.pipe(
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.interrupt : failed(Cause.squash(cause))
          ),
          Effect.timeoutOrElse({
            duration: Math.max(0, timeoutMillis),
            orElse: () => Effect.fail(new RequestTimeout({ address, code, timeoutMillis, sent: false }))
          }),
          Effect.flatMap((ready) => send(ready, timeoutMillis - (now() - begin))),
          Effect.mapError(withCallersTime(timeoutMillis))
        )
      } catch (cause) {
        return failed(cause)
      }
    })

  let hookFails = false

  /** Shows the hook an answer, which reaches the caller whatever the hook does. The first time it throws is logged. */
  const told = (address: string, sent: Request, response: RemotingCommand) => {
    try {
      rpcHook.doAfterResponse?.(address, sent, response)
      hookFails = false
      return Effect.succeed(response)
    } catch (cause) {
      const silent = hookFails
      hookFails = true
      if (silent) return Effect.succeed(response)
      return Effect.as(Effect.logWarning(`the rpc hook failed at an answer of ${address}`, Cause.die(cause)), response)
    }
  }

  return {
    start: (start) => (address, request, timeoutMillis, resume) => {
      const answer = signed(address, request, timeoutMillis, (sent, left) =>
        Effect.flatMap(invoke({ start }, address, sent, left), (response) => told(address, sent, response))
      )
      resume(answer)
      return undefined
    },
    startOneway: (startOneway) => (address, request, timeoutMillis, resume) => {
      resume(
        signed(address, request, timeoutMillis, (sent, left) => invokeOneway({ startOneway }, address, sent, left))
      )
      return undefined
    }
  }
}
