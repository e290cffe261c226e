import { Cause, Clock, Effect, Option, Random } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { FrameError } from "../protocol/Frame.ts"
import type { Request, RemotingCommand } from "../protocol/RemotingCommand.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { RemotingClient } from "../transport/RemotingClient.ts"
import type { RemotingError } from "../transport/RemotingError.ts"
import { invoke } from "../transport/Requests.ts"
import { WireError } from "../transport/Wire.ts"
import type { WireErrorKind } from "../transport/Wire.ts"
import * as AddressServer from "./AddressServer.ts"
import * as AddressServerUrl from "./AddressServerUrl.ts"
import type { ClientConfig } from "./ClientConfig.ts"
import {
  type AddressServerFailed,
  NameServerResolveError,
  NameServerTry,
  NameServerUnavailable,
  NoNameServer
} from "./ClientError.ts"
import * as Address from "../transport/Address.ts"
import { everyAddress } from "./HostLookup.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"
import { NameServerResolver } from "./NameServerResolver.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** Which name servers there are, which one is in use, and requests to them. */
export interface NameServer {
  /** The addresses in use, in the order in which they are tried. */
  readonly addresses: Effect.Effect<ReadonlyArray<string>>
  /**
   * Every single name server: a name of the list that stands for several addresses counts once for each. For what has to
   * be told to all of them; a look-up is done at each call.
   */
  readonly each: Effect.Effect<ReadonlyArray<string>>
  /** The chosen one: kept until it fails, then the next one is taken. */
  readonly chosen: Effect.Effect<string | undefined>
  /** Whether the list comes from a source that timer 1 asks again (a resolver or an address server). */
  readonly refreshable: boolean
  /**
   * Java's `fetchNameServerAddr`: asks the resolver or the address server and swaps the list if it differs. Connections
   * to addresses that are gone are closed as soon as nothing is under way on them.
   */
  readonly fetchNameServerAddr: Effect.Effect<void, NoNameServer | AddressServerFailed | NameServerResolveError>
  /**
   * Sends a request to the chosen name server and, if that one fails, to the others, all within `timeoutMillis`; no
   * single one may use up the whole of it while another is left to try. The connection of one that did not answer in
   * time is given up: it may be half-open. That none answers is logged when it begins, and when it is over.
   */
  readonly invoke: (
    request: Request,
    timeoutMillis: number
  ) => Effect.Effect<
    { readonly address: string; readonly response: RemotingCommand },
    NoNameServer | NameServerUnavailable
  >
}

/** How long to wait before a name server that is still warming up is asked again, in milliseconds. */
const NOT_READY_PAUSE_MILLIS = 200

const problemOfDial: { readonly [K in WireErrorKind]?: NameServerTry["problem"] } = {
  dns: "name-not-resolved",
  timeout: "silent",
  exhausted: "exhausted"
}

/** Whether the connection, this one or the last before the pause, ended because of bytes that are no frame. */
const isUnreadable = (error: RemotingError): boolean => {
  if (error._tag !== "ConnectionClosed" && error._tag !== "ConnectFailed") return false
  const { cause } = error
  return cause instanceof FrameError || (cause instanceof WireError && cause.cause instanceof FrameError)
}

/** What a transport failure says about a name server. */
const problemOf = (error: RemotingError): NameServerTry["problem"] => {
  if (isUnreadable(error)) return "unreadable"
  switch (error._tag) {
    case "ConnectFailed":
      return problemOfDial[error.kind] ?? "refused"
    case "TlsFailed":
      return "tls-failed"
    case "RpcHookFailed":
      return "not-signed"
    case "RequestTimeout":
    case "TooManyRequests":
      return "silent"
    default:
      return "closed"
  }
}

const isNotReady = (response: RemotingCommand) =>
  response.code === ResponseCode.SYSTEM_ERROR && response.remark?.includes("name server not ready") === true

/**
 * Whether this is the name servers' fault and nobody else's: a request that cannot be signed has not reached them.
 */
export const isOutage = (tries: ReadonlyArray<NameServerTry>): boolean =>
  tries.some(({ problem }) => problem !== "rejected" && problem !== "not-signed")

/** Where the addresses come from. */
export interface NameServerSource {
  /** The addresses of the configuration; empty when they have to be asked for. */
  readonly fixed: ReadonlyArray<string>
  /** Asks the resolver or the address server. */
  readonly ask: Effect.Effect<ReadonlyArray<string>, NoNameServer | AddressServerFailed | NameServerResolveError>
  /** The places that are looked at, for messages. */
  readonly looked: ReadonlyArray<string>
}

/** What a resolver gives. One that throws has failed. */
const resolved = ({ name, resolve }: NameServerResolver["Service"]) =>
  Effect.catchCause(resolve, (cause) => {
    const failure = cause.reasons.find((reason) => reason._tag === "Fail")
    if (failure !== undefined) return Effect.fail(failure.error)
    return Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.fail(new NameServerResolveError({ resolver: name, cause: Cause.squash(cause) }))
  })

/** Finds out which source of addresses the configuration and the services in the context make up. */
export const source = Effect.fnUntraced(function* (config: ClientConfig) {
  const context = yield* Effect.context()
  const resolver = yield* Effect.serviceOption(NameServerResolver)
  const addressServer = AddressServerUrl.url(config)
  const looked = [
    config.namesrvAddr === undefined ? "namesrvAddr and NAMESRV_ADDR (not set)" : "namesrvAddr (empty)",
    Option.isSome(resolver) ? `resolver "${resolver.value.name}" (gave none)` : "NameServerResolver (not provided)",
    addressServer === undefined ? "namesrvDomain (not set)" : `address server ${addressServer} (gave none)`
  ]
  const none = new NoNameServer({ looked })
  const ask: NameServerSource["ask"] = Option.isSome(resolver)
    ? resolved(resolver.value)
    : addressServer === undefined
      ? Effect.fail(none)
      : AddressServer.fetch(addressServer).pipe(Effect.provideContext(context))
  const self: NameServerSource = {
    fixed: config.namesrvAddr === undefined ? [] : parseNamesrvAddr(config.namesrvAddr).addresses,
    ask: Effect.flatMap(ask, (answer): Effect.Effect<ReadonlyArray<string>, NoNameServer> => {
      const { addresses } = parseNamesrvAddr(answer)
      return addresses.length === 0 ? Effect.fail(none) : Effect.succeed(addresses)
    }),
    looked
  }
  return self
})

/**
 * Makes a {@link NameServer} over a remoting client. The list is shuffled, and so the first choice is random: many
 * clients spread over the name servers.
 *
 * Source: RocketMQ `NettyRemotingClient.getAndCreateNameserverChannel`, `MQClientAPIImpl.fetchNameServerAddr`.
 */
export const make = Effect.fnUntraced(function* (
  from: NameServerSource,
  initial: ReadonlyArray<string>,
  remoting: RemotingClient
) {
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  let list: ReadonlyArray<string> = yield* Random.shuffle(initial)
  let index = 0

  const swap = Effect.fnUntraced(function* (next: ReadonlyArray<string>) {
    const same = next.length === list.length && next.every((address) => list.includes(address))
    if (same) return
    const gone = new Set(list.filter((address) => !next.includes(address)))
    list = yield* Random.shuffle(next)
    index = 0
    yield* Effect.logInfo(`name servers are now ${next.join(";")}`)
    // Not closed at once: what is under way to them may end.
    const known = remoting.connections().map((connection) => connection.address)
    yield* remoting.retain(new Set(known.filter((address) => !gone.has(address))))
  })

  const choice = () => list[index % list.length]

  /** Lets the next one be chosen, unless somebody else's failure has done that already. */
  const moveOn = (address: string) => {
    if (choice() === address) index++
  }

  /** The list from the chosen one on. */
  const inTurn = (): ReadonlyArray<string> => {
    const first = index % list.length
    return [...list.slice(first), ...list.slice(0, first)]
  }

  let unavailable = false

  const answered = (address: string) => {
    if (!unavailable) return Effect.void
    unavailable = false
    return Effect.logInfo(`the name server ${address} answers again`)
  }

  const noneAnswered = Effect.fnUntraced(function* (tries: ReadonlyArray<NameServerTry>) {
    const error = new NameServerUnavailable({ tries })
    if (!unavailable && isOutage(tries)) {
      unavailable = true
      yield* Effect.logWarning(`${error.message} Routes that are known stay in use.`)
    }
    return yield* error
  })

  const ask = Effect.fnUntraced(function* (request: Request, timeoutMillis: number) {
    if (list.length === 0) return yield* new NoNameServer({ looked: from.looked })
    const deadline = now() + timeoutMillis
    const tries = new Map<string, NameServerTry>()
    const asked = new Set<string>()
    const note = (address: string, problem: NameServerTry["problem"], detail: string, tls?: NameServerTry["tls"]) => {
      tries.set(address, new NameServerTry({ address, problem, detail, tls }))
      moveOn(address)
    }
    for (;;) {
      const remaining = deadline - now()
      if (remaining <= 0) break
      // Of the list as it is now: when it has changed meanwhile, the new ones are asked.
      const candidates = inTurn().filter((address) => !asked.has(address))
      const [address] = candidates
      if (address === undefined) {
        const warmingUp = list.filter((known) => tries.get(known)?.problem === "not-ready")
        if (warmingUp.length === 0 || remaining <= NOT_READY_PAUSE_MILLIS) break
        yield* Effect.sleep(NOT_READY_PAUSE_MILLIS)
        for (const known of warmingUp) asked.delete(known)
        continue
      }
      asked.add(address)
      const outcome = yield* Effect.result(invoke(remoting, address, request, Math.ceil(remaining / candidates.length)))
      if (outcome._tag === "Failure") {
        const { failure } = outcome
        if (failure._tag === "RequestTimeout" && failure.sent) yield* remoting.retire(address)
        note(address, problemOf(failure), failure.message, failure._tag === "TlsFailed" ? failure.reason : undefined)
      } else if (isNotReady(outcome.success)) {
        note(address, "not-ready", ForeignText.clean(outcome.success.remark))
      } else {
        yield* answered(address)
        return { address, response: outcome.success }
      }
    }
    return yield* noneAnswered([...tries.values()])
  })

  const everyAddressOf = (address: string) =>
    Effect.tap(everyAddress(address), (found) =>
      Effect.sync(() => {
        const parsed = Address.parse(address)
        if ("_tag" in parsed) return
        for (const one of found) if (one !== address) remoting.nameHost(one, parsed.host)
      })
    )

  const self: NameServer = {
    addresses: Effect.sync(() => list),
    each: Effect.suspend(() => Effect.forEach(list, everyAddressOf, { concurrency: 8 })).pipe(
      Effect.map((found) => [...new Set(found.flat())])
    ),
    chosen: Effect.sync(choice),
    refreshable: from.fixed.length === 0,
    fetchNameServerAddr: Effect.flatMap(from.ask, swap),
    invoke: ask
  }
  return self
})
