import { Cause, Effect } from "effect"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import { RequestTimeout, RpcHookFailed } from "./RemotingError.ts"
import type { RemotingError } from "./RemotingError.ts"
import type { RpcHook } from "./RpcHook.ts"

/** Takes requests through a hook on their way out, and their answers past it. */
export interface HookedRequests {
  /** Sends the request as the hook wants it, in the time that the hook leaves. */
  readonly signed: <A>(
    address: string,
    request: Request,
    timeoutMillis: number,
    send: (request: Request, leftMillis: number) => Effect.Effect<A, RemotingError>
  ) => Effect.Effect<A, RemotingError>
  /** The same, and tells the hook of the answer. */
  readonly hooked: (
    address: string,
    request: Request,
    timeoutMillis: number,
    send: (request: Request, leftMillis: number) => Effect.Effect<RemotingCommand, RemotingError>
  ) => Effect.Effect<RemotingCommand, RemotingError>
}

/** Makes what a hook does to the requests of a client; `now` is the monotonic clock in milliseconds. */
export const makeHookedRequests = (rpcHook: RpcHook | undefined, now: () => number): HookedRequests => {
  const signed: HookedRequests["signed"] = (address, request, timeoutMillis, send) =>
    Effect.suspend(() => {
      const { body, code, extFields, remark } = request
      const failed = (cause: unknown) => Effect.fail(new RpcHookFailed({ address, code, cause }))
      try {
        // The fields as text would say nothing of what the hook adds.
        const plain = { code, remark, extFields, body }
        const sent = rpcHook?.doBeforeRequest?.(address, plain) ?? plain
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
          Effect.flatMap((ready) => send(ready, timeoutMillis - (now() - begin)))
        )
      } catch (cause) {
        return failed(cause)
      }
    })

  let hookFails = false

  /** Tells the hook of an answer, which is the caller's whatever the hook does. It is logged when it begins to throw. */
  const told = (hook: RpcHook, address: string, sent: Request, response: RemotingCommand) => {
    try {
      hook.doAfterResponse?.(address, sent, response)
      hookFails = false
      return Effect.succeed(response)
    } catch (cause) {
      const silent = hookFails
      hookFails = true
      if (silent) return Effect.succeed(response)
      return Effect.as(Effect.logWarning(`the rpc hook failed at an answer of ${address}`, Cause.die(cause)), response)
    }
  }

  const hooked: HookedRequests["hooked"] = (address, request, timeoutMillis, send) =>
    rpcHook === undefined
      ? send(request, timeoutMillis)
      : signed(address, request, timeoutMillis, (sent, left) =>
          Effect.flatMap(send(sent, left), (response) => told(rpcHook, address, sent, response))
        )

  return { signed, hooked }
}
