import { AUTO_CREATE_TOPIC_KEY_TOPIC, DEFAULT_INSTANCE_NAME } from "../message/MixAll.ts"
import type { RemotingClientConfig } from "../transport/RemotingClient.ts"
import { ConfigProblem, InvalidConfig } from "./ClientError.ts"
import * as AddressServerUrl from "./AddressServerUrl.ts"
import * as ClientSecurity from "./ClientSecurity.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"

/**
 * The options of a client instance, with RocketMQ's words and defaults.
 *
 * Source: RocketMQ `ClientConfig`, `NettyClientConfig`.
 */
export interface ClientConfig extends ClientSecurity.SecurityConfig {
  /**
   * The name servers, `host:port;host:port` or a list. Host names, IPv4 and `[IPv6]` are accepted. When absent, the
   * environment variable `NAMESRV_ADDR`, a `NameServerResolver` and {@link namesrvDomain} are asked, in this order.
   */
  readonly namesrvAddr: string | ReadonlyArray<string> | undefined
  /**
   * Host of an HTTP address server, from which the name server list is read at start and every 2 minutes: Java's
   * `rocketmq.namesrv.domain`. There is no default host. The URL is `http://<domain>:8080/rocketmq/<subgroup>`, without
   * `:8080` when the domain has a port of its own. A whole URL (`https://ns.example/list`) is asked as it is; one without a
   * path gets `/rocketmq/<subgroup>`.
   */
  readonly namesrvDomain: string | undefined
  /** The last part of that URL; default `nsaddr` (Java `rocketmq.namesrv.domain.subgroup`). */
  readonly namesrvDomainSubgroup: string
  /** Default `DEFAULT`, which becomes `<pid>#<number>`; clients with equal names share one instance (Java `instanceName`). */
  readonly instanceName: string
  /** The client address to announce; by default one of this machine's own (Java `clientIP`). */
  readonly clientIP: string | undefined
  /** Part of the client id and of the address server's URL (Java `unitName`). */
  readonly unitName: string | undefined
  /** Milliseconds between route updates; default 30,000 (Java `pollNameServerInterval`). */
  readonly pollNameServerInterval: number
  /** Milliseconds between heartbeats; default 30,000 (Java `heartbeatBrokerInterval`). */
  readonly heartbeatBrokerInterval: number
  /** Milliseconds between offset commits of consumers; default 5,000 (Java `persistConsumerOffsetInterval`). */
  readonly persistConsumerOffsetInterval: number
  /** Milliseconds that a request to a name server, a heartbeat and the like may take; default 3,000 (Java `mqClientApiTimeout`). */
  readonly mqClientApiTimeout: number
  /**
   * The template topic: a topic that does not exist yet is sent over its route, and created by the broker from it. Default
   * `TBW102`, which brokers have while they let sends create topics. Another one must exist, with the third permission bit
   * (perm 7). It is in no namespace (Java `createTopicKey`; 5.x clients look up the route of `TBW102` whatever it says, 4.x
   * ones that of the option, as this client does).
   */
  readonly createTopicKey: string
  /** Whether there are metrics; default true. They cost a send about one part in twenty. */
  readonly metrics: boolean
  /** Options of the remoting client: connect timeout, caps on what is in flight, header form, hook. */
  readonly remoting: Partial<RemotingClientConfig>
}

/** The defaults of {@link ClientConfig}. */
export const defaults: ClientConfig = {
  ...ClientSecurity.defaults,
  namesrvAddr: undefined,
  namesrvDomain: undefined,
  namesrvDomainSubgroup: "nsaddr",
  instanceName: DEFAULT_INSTANCE_NAME,
  clientIP: undefined,
  unitName: undefined,
  pollNameServerInterval: 30_000,
  heartbeatBrokerInterval: 30_000,
  persistConsumerOffsetInterval: 5_000,
  mqClientApiTimeout: 3_000,
  createTopicKey: AUTO_CREATE_TOPIC_KEY_TOPIC,
  metrics: true,
  remoting: {}
}

/** What a user gives: any part of {@link ClientConfig}; an absent or undefined option means its default. */
export type ClientOptions = { readonly [K in keyof ClientConfig]?: ClientConfig[K] | undefined }

/** Fills `options` up with the defaults that are `given`; undefined counts as absent. */
export const withDefaults = <C extends object>(
  given: C,
  options: { readonly [K in keyof C]?: C[K] | undefined }
): C => {
  const merged = { ...given }
  for (const key in given) {
    const value = options[key]
    if (value !== undefined) merged[key] = value
  }
  return merged
}

const positive: ReadonlyArray<keyof ClientConfig> = [
  "pollNameServerInterval",
  "heartbeatBrokerInterval",
  "persistConsumerOffsetInterval",
  "mqClientApiTimeout"
]

/** Every problem of a configuration, none when it is usable. */
export const problems = (config: ClientConfig): ReadonlyArray<ConfigProblem> => {
  const found: Array<ConfigProblem> = []
  if (config.namesrvAddr !== undefined) found.push(...parseNamesrvAddr(config.namesrvAddr).problems)
  for (const key of positive) {
    const value = config[key]
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      found.push(
        new ConfigProblem({
          path: key,
          problem: `must be a number of milliseconds above 0, is ${JSON.stringify(value) ?? "undefined"}`
        })
      )
    }
  }
  if (config.instanceName.trim() === "") found.push(new ConfigProblem({ path: "instanceName", problem: "is blank" }))
  if (config.createTopicKey.trim() === "")
    found.push(new ConfigProblem({ path: "createTopicKey", problem: "is blank" }))
  for (const problem of [...AddressServerUrl.problems(config), ...ClientSecurity.problems(config)]) found.push(problem)
  return found
}

/** {@link problems} as an error, or undefined. */
export const check = (config: ClientConfig): InvalidConfig | undefined => {
  const found = problems(config)
  return found.length === 0 ? undefined : new InvalidConfig({ problems: found })
}

/**
 * Which clients share one instance: those with equal keys. It holds everything that must not be mixed (the name servers
 * above all), which the wire identity, the client id, does not. The manager adds the services that an instance uses.
 */
export const sharingKey = (config: ClientConfig): string =>
  JSON.stringify([
    config.namesrvAddr === undefined ? null : parseNamesrvAddr(config.namesrvAddr).addresses.toSorted(),
    config.namesrvDomain ?? null,
    config.namesrvDomainSubgroup,
    config.instanceName,
    config.clientIP ?? null,
    config.unitName ?? null,
    ...ClientSecurity.sharingKey(config)
  ])
