import { Context, Effect } from "effect"
import type { Request } from "../protocol/RemotingCommand.ts"
import type { RpcHook } from "../transport/RpcHook.ts"

/**
 * Hooks for every request of the clients that are started with it, in the order in which they run, behind the one of the
 * option `remoting.rpcHook` and before the signature; none by default. Producers with hooks of their own share no client
 * instance with others.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { RpcHooks } from "effect-rocketmq"
 *
 * const marked = Layer.succeed(RpcHooks, [
 *   { doBeforeRequest: (address, request) => ({ ...request, extFields: { ...request.extFields, room: "b12" } }) }
 * ])
 * ```
 *
 * Source: RocketMQ `MQClientAPIImpl.registerRPCHook`.
 */
export const RpcHooks: Context.Reference<ReadonlyArray<RpcHook>> = Context.Reference(
  "effect-rocketmq/client/RpcHooks",
  {
    defaultValue: (): ReadonlyArray<RpcHook> => []
  }
)

const changedBy = (
  hook: RpcHook,
  address: string,
  request: Request | Effect.Effect<Request, unknown>
): Request | Effect.Effect<Request, unknown> => {
  if (hook.doBeforeRequest === undefined) return request
  if (!Effect.isEffect(request)) return hook.doBeforeRequest(address, request)
  return Effect.flatMap(request, (ready) => {
    const changed = changedBy(hook, address, ready)
    return Effect.isEffect(changed) ? changed : Effect.succeed(changed)
  })
}

/** One hook that runs several, each on what the one before it gave; undefined when there are none. */
export const combine = (hooks: ReadonlyArray<RpcHook>): RpcHook | undefined => {
  const [only] = hooks
  if (hooks.length < 2) return only
  return {
    doBeforeRequest: (address, request) => {
      let sent: Request | Effect.Effect<Request, unknown> = request
      for (const hook of hooks) sent = changedBy(hook, address, sent)
      return sent
    },
    doAfterResponse: (address, request, response) => {
      for (const hook of hooks) hook.doAfterResponse?.(address, request, response)
    }
  }
}
