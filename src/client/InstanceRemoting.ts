import { Effect } from "effect"
import type { Request } from "../protocol/RemotingCommand.ts"
import * as Remoting from "../transport/RemotingClient.ts"
import type { RpcHook } from "../transport/RpcHook.ts"
import { isDialled } from "./AddressPolicy.ts"
import type { ClientConfig } from "./ClientConfig.ts"
import * as NamespaceRpcHook from "./NamespaceRpcHook.ts"
import { signer } from "./SessionCredentials.ts"
import * as VipChannel from "./VipChannel.ts"

const asEffect = (request: Request | Effect.Effect<Request, unknown>) =>
  Effect.isEffect(request) ? request : Effect.succeed(request)

/**
 * What happens to every request of an instance on its way out, in this order: the namespaces, the user's own hook, the
 * signature, which has to be over what is sent. Undefined when there is nothing to do.
 *
 * Source: RocketMQ `MQClientAPIImpl`, which registers its hooks in this order.
 */
export const rpcHook = (config: ClientConfig): RpcHook | undefined => {
  const { createTopicKey, credentials, namespace, namespaceV2 } = config
  const own = config.remoting.rpcHook
  if (namespace === undefined && namespaceV2 === undefined && credentials === undefined) return own
  const sign = credentials === undefined ? undefined : signer(credentials)
  const named = (request: Request): Request => {
    const wrapped = namespace === undefined ? request : NamespaceRpcHook.wrapRequest(namespace, request, createTopicKey)
    return namespaceV2 === undefined ? wrapped : NamespaceRpcHook.markRequest(namespaceV2, wrapped)
  }
  const signed = (request: Request) => sign?.(request) ?? request
  return {
    doBeforeRequest: (address, request) => {
      const ready = named(request)
      const hooked = own?.doBeforeRequest?.(address, ready) ?? ready
      return Effect.isEffect(hooked) ? Effect.flatMap(hooked, (changed) => asEffect(signed(changed))) : signed(hooked)
    },
    doAfterResponse: (address, request, response) => own?.doAfterResponse?.(address, request, response)
  }
}

/** A remoting client whose answers, and whose servers' requests, speak of topics and groups without the namespace. */
const unwrapped = (namespace: string, remoting: Remoting.RemotingClient): Remoting.RemotingClient => ({
  ...remoting,
  start: (address, request, timeoutMillis, resume) =>
    remoting.start(address, request, timeoutMillis, (answer) =>
      resume(Effect.map(answer, (response) => NamespaceRpcHook.unwrapRemark(namespace, response)))
    ),
  handle: (code, handler) =>
    remoting.handle(code, (address, request) => handler(address, NamespaceRpcHook.unwrapPush(namespace, request)))
})

/**
 * The remoting client of an instance: with TLS, namespaces, signatures and the VIP channel as the configuration says.
 * `isBroker` tells a broker's address from a name server's; `own` are the name servers that the user gives, whose names may
 * stand for any address.
 */
export const make = Effect.fnUntraced(function* (
  config: ClientConfig,
  isBroker: (address: string) => boolean,
  own: ReadonlyArray<string>
) {
  const { namespace, tls } = config
  const given = new Set(own)
  const mayReach =
    config.allowAddress === undefined ? (address: string, ip: string) => given.has(address) || isDialled(ip) : undefined
  const settings = { ...config.remoting, rpcHook: rpcHook(config), mayReach, ...(tls === undefined ? {} : { tls }) }
  const remoting = yield* Remoting.make(settings)
  const unwrapping = namespace === undefined ? remoting : unwrapped(namespace, remoting)
  if (tls?.insecure === true) {
    yield* Effect.logWarning(
      "TLS without verification (tls.insecure): whoever answers at a server's address is trusted with every message and signature; set tls.ca instead"
    )
  }
  return config.vipChannelEnabled ? VipChannel.make(unwrapping, isBroker) : unwrapping
})
