import type { RemotingCommand } from "../../protocol/RemotingCommand.ts"
import type { FaultAction } from "./FaultAction.ts"
import type { ConnectionFault, FaultMatch, FaultRule, FaultScript, FiredFault } from "./FaultScript.ts"

/** The server a request came to. */
export interface FaultServer {
  /** `broker-a`, `namesrv-0`, ... */
  readonly name: string
  /** What it is. */
  readonly kind: "nameServer" | "broker"
  /** Its `host:port`. */
  readonly address: string
}

/** The rules in force, with their counters. Everything is synchronous, so a seed replays the same faults. */
export interface FaultEngine {
  /** Puts a rule in force, after those that are. */
  readonly add: (rule: FaultRule) => void
  /** Removes the rules of that name. */
  readonly remove: (name: string) => void
  /** Removes all rules. */
  readonly clear: () => void
  /** The rules in force, in the order in which they are tried. */
  readonly rules: () => FaultScript
  /** What fired, oldest first. */
  readonly fired: () => ReadonlyArray<FiredFault>
  /** What is to be done with a request; nothing when no rule fires. */
  readonly onRequest: (
    server: FaultServer,
    request: RemotingCommand,
    remoteAddress: string
  ) => ReadonlyArray<FaultAction>
  /** What is to be done with a new connection. */
  readonly onAccept: (server: FaultServer, remoteAddress: string) => "accept" | "refuse" | "ignore"
}

interface Active {
  readonly name: string
  readonly rule: FaultRule
  readonly codes: ReadonlySet<number> | undefined
  readonly requestActions: ReadonlyArray<FaultAction>
  readonly connectionAction: "refuse" | "ignore" | undefined
  calls: number
  fired: number
}

const none: ReadonlyArray<FaultAction> = []

const isConnectionFault = (action: FaultAction | ConnectionFault): action is ConnectionFault =>
  action._tag === "RefuseConnection" || action._tag === "IgnoreConnection"

const activate = (rule: FaultRule, index: number): Active => {
  const code = rule.match?.code
  const connection = rule.actions.find(isConnectionFault)
  return {
    name: rule.name ?? `rule-${index}`,
    rule,
    codes: code === undefined ? undefined : new Set(typeof code === "number" ? [code] : code),
    requestActions: rule.actions.filter((action): action is FaultAction => !isConnectionFault(action)),
    connectionAction:
      connection === undefined ? undefined : connection._tag === "RefuseConnection" ? "refuse" : "ignore",
    calls: 0,
    fired: 0
  }
}

const concernsServer = (match: FaultMatch | undefined, server: FaultServer): boolean =>
  (match?.broker === undefined ||
    match.broker === server.name ||
    (match.broker === "namesrv" && server.kind === "nameServer")) &&
  (match?.address === undefined || match.address === server.address)

/** The topic a request names, under whichever of its names. */
export const topicOf = (request: RemotingCommand): string | undefined =>
  request.extFields?.["topic"] ?? request.extFields?.["b"]

/** Builds an engine. `draw` gives numbers from 0 to 1, `now` milliseconds; the log keeps the newest `logLimit` firings. */
export const make = (options: {
  readonly script?: FaultScript | undefined
  readonly draw: () => number
  readonly now: () => number
  readonly logLimit?: number | undefined
}): FaultEngine => {
  const logLimit = options.logLimit ?? 10_000
  let serial = 0
  let active: ReadonlyArray<Active> = (options.script ?? []).map((rule) => activate(rule, serial++))
  let log: Array<FiredFault> = []

  /** Counts a match and says whether the rule fires for it. */
  const fires = (entry: Active): boolean => {
    entry.calls += 1
    const match = entry.rule.match
    if (entry.fired >= (entry.rule.times ?? Infinity)) return false
    if (match?.nth !== undefined && entry.calls !== match.nth) return false
    if (match?.after !== undefined && entry.calls <= match.after) return false
    if (match?.every !== undefined && entry.calls % match.every !== 0) return false
    if (match?.probability !== undefined && options.draw() >= match.probability) return false
    entry.fired += 1
    return true
  }

  const record = (entry: Active, server: FaultServer, remoteAddress: string, request?: RemotingCommand): void => {
    log.push({
      rule: entry.name,
      time: options.now(),
      server: server.name,
      address: server.address,
      code: request?.code,
      opaque: request?.opaque,
      remoteAddress,
      call: entry.calls,
      actions: entry.rule.actions.map((action) => action._tag)
    })
    if (log.length > logLimit * 2) log = log.slice(-logLimit)
  }

  return {
    add: (rule) => {
      active = [...active, activate(rule, serial++)]
    },
    remove: (name) => {
      active = active.filter((entry) => entry.name !== name)
    },
    clear: () => {
      active = []
    },
    rules: () => active.map((entry) => entry.rule),
    fired: () => log.slice(-logLimit),
    onRequest: (server, request, remoteAddress) => {
      if (active.length === 0) return none
      let actions = none
      for (const entry of active) {
        if (entry.connectionAction !== undefined) continue
        if (entry.codes !== undefined && !entry.codes.has(request.code)) continue
        const match = entry.rule.match
        if (!concernsServer(match, server)) continue
        if (match?.topic !== undefined && match.topic !== topicOf(request)) continue
        if (!fires(entry)) continue
        record(entry, server, remoteAddress, request)
        actions = actions.length === 0 ? entry.requestActions : [...actions, ...entry.requestActions]
      }
      return actions
    },
    onAccept: (server, remoteAddress) => {
      for (const entry of active) {
        if (entry.connectionAction === undefined || !concernsServer(entry.rule.match, server)) continue
        if (!fires(entry)) continue
        record(entry, server, remoteAddress)
        return entry.connectionAction
      }
      return "accept"
    }
  }
}
