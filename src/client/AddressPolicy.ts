import { Cause, type Context, Effect } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import * as Address from "../transport/Address.ts"
import { type AddressProblem, AddressRefused } from "./AddressRefused.ts"
import type { AddressTranslator, BrokerEndpoint } from "./AddressTranslator.ts"
import { type HostKind, hostKind } from "./HostKind.ts"

/** Which of the addresses that servers name are dialled, and as what. */
export interface AddressPolicy {
  /**
   * The address under which this client dials a broker, or why it does not: translated, in its canonical form, and allowed.
   * Never fails, whatever the user's translator and rule do; interruption passes.
   */
  readonly resolve: (endpoint: BrokerEndpoint) => Effect.Effect<string | AddressRefused>
  /** The same for an address that the user gave: it is not translated, and only `allowAddress` has a say in it. */
  readonly permit: (address: string) => string | AddressRefused
  /** Logs that an address is refused: once an address, since a route that names it comes back with every poll. */
  readonly tell: (refused: AddressRefused) => Effect.Effect<void>
}

/** How many refused addresses are logged; a hostile name server has more. */
const MAX_TOLD = 16
/** How much of what a user's function says is shown. */
const MAX_DETAIL = 200

/** Hosts that stand for no single other machine; they are dialled only where `allowAddress` says so. */
const notDialled: ReadonlyMap<HostKind, AddressProblem> = new Map<HostKind, AddressProblem>([
  ["link-local", "link-local"],
  ["unspecified", "unspecified"],
  ["multicast", "multicast"],
  ["broadcast", "broadcast"]
])

/**
 * Whether an IP address is dialled where no `allowAddress` has a say: what {@link make}'s policy says of addresses, said of
 * what a host name stands for.
 */
export const isDialled = (ip: string): boolean => !notDialled.has(hostKind(ip))

// The system's resolver takes `2852039166`, `0xa9fea9fe` and `169.254.43518` for 169.254.169.254.
const looksLikeNumber = /(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)\.?$/i

/** What a user's function threw. Even to turn that into text may fail. */
const told = (cause: unknown): string => {
  try {
    return ForeignText.clean(String(cause), MAX_DETAIL)
  } catch {
    return "with something that has no text"
  }
}

const refuse = (
  brokerName: string | undefined,
  address: string,
  problem: AddressProblem,
  detail = ""
): AddressRefused =>
  new AddressRefused({
    address: ForeignText.clean(address),
    ...(brokerName === undefined ? {} : { brokerName: ForeignText.clean(brokerName) }),
    problem,
    detail
  })

/**
 * Makes the policy of a client. Without `allowAddress`, everything is dialled that a connection can be opened to, but for
 * link-local and unspecified addresses; with it, whatever it allows.
 *
 * Source: RocketMQ has none: its clients dial whatever a name server says.
 */
export const make = (options: {
  readonly allowAddress: ((address: string) => boolean) | undefined
  readonly translate: Context.Service.Shape<typeof AddressTranslator>["translate"]
}): AddressPolicy => {
  const { allowAddress, translate } = options
  const known = new Set<string>()

  /** A rule that throws allows nothing: what it would have said is not known. */
  const ruled = (address: string, brokerName: string | undefined): string | AddressRefused => {
    if (allowAddress === undefined) return address
    try {
      // A promise, of a rule in JavaScript that is async, is no permission.
      const verdict: unknown = allowAddress(address)
      if (verdict === true) return address
      return verdict === false
        ? refuse(brokerName, address, "not-allowed")
        : refuse(brokerName, address, "rule-failed", `it gave a ${typeof verdict} in place of true or false`)
    } catch (cause) {
      return refuse(brokerName, address, "rule-failed", told(cause))
    }
  }

  const judge = (text: string, brokerName: string): string | AddressRefused => {
    const parsed = Address.parse(text)
    if (parsed instanceof Address.AddressError) return refuse(brokerName, text, "unreadable", parsed.detail)
    const address = Address.canonical(parsed)
    const kind = hostKind(parsed.host)
    if (kind === "name" && looksLikeNumber.test(parsed.host)) {
      return refuse(brokerName, text, "unreadable", "its host is a number and no IPv4 address")
    }
    const problem = allowAddress === undefined ? notDialled.get(kind) : undefined
    return problem === undefined ? ruled(address, brokerName) : refuse(brokerName, address, problem)
  }

  const resolve: AddressPolicy["resolve"] = (endpoint) => {
    const { address, brokerName } = endpoint
    // The user's function is not shown what no address can be.
    if (address.length > Address.MAX_LENGTH) return Effect.succeed(judge(address, brokerName))
    return Effect.suspend(() => {
      const translation = translate(endpoint)
      // What is no effect would end this fiber past everything that watches over it.
      return Effect.isEffect(translation) ? translation : Effect.die(new TypeError("it gave no Effect"))
    }).pipe(
      Effect.map((translated) =>
        typeof translated === "string"
          ? judge(translated, brokerName)
          : refuse(brokerName, address, "not-translated", `it became a ${typeof translated}, which is no text`)
      ),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.succeed(refuse(brokerName, address, "not-translated", told(Cause.squash(cause))))
      )
    )
  }

  return {
    resolve,
    permit: (text) => {
      const parsed = Address.parse(text)
      return parsed instanceof Address.AddressError
        ? refuse(undefined, text, "unreadable", parsed.detail)
        : ruled(Address.canonical(parsed), undefined)
    },
    tell: (refused) =>
      Effect.suspend(() => {
        if (known.has(refused.address) || known.size > MAX_TOLD) return Effect.void
        known.add(refused.address)
        const text =
          known.size > MAX_TOLD ? "more addresses of brokers are not dialled, and not told of" : refused.message
        return Effect.annotateLogs(Effect.logWarning(text), { broker: refused.address })
      })
  }
}
