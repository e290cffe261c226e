import { Config, Effect, Option } from "effect"
import type { ClientConfig } from "./ClientConfig.ts"
import { ConfigProblem, InvalidConfig } from "./ClientError.ts"
import { namespaceOf, parseNamesrvAddr } from "./NameServerAddresses.ts"
import type { Checked, Resolution } from "./options/OptionTable.ts"
import * as RpcHooks from "./RpcHooks.ts"
import * as SessionCredentials from "./SessionCredentials.ts"

/** The name servers of the environment variable `NAMESRV_ADDR`, through `Config`, or what is wrong with them. */
const namesrvFromEnvironment = Config.option(Config.String("NAMESRV_ADDR")).pipe(
  Effect.map((found) => {
    const namesrvAddr = Option.getOrElse(found, () => "").trim()
    if (namesrvAddr === "") return { namesrvAddr: undefined, problems: [] }
    const problems = parseNamesrvAddr(namesrvAddr).problems.map(
      ({ path, problem }) => new ConfigProblem({ problem, path: path.replace("namesrvAddr", "NAMESRV_ADDR") })
    )
    return { namesrvAddr: problems.length === 0 ? namesrvAddr : undefined, problems }
  }),
  Effect.catch(({ message }) =>
    Effect.succeed({
      namesrvAddr: undefined,
      problems: [new ConfigProblem({ path: "NAMESRV_ADDR", problem: message })]
    })
  )
)

/** The credentials of the service `SessionCredentials`, where it is provided, or what is wrong with them. */
const providedCredentials = Effect.map(Effect.serviceOption(SessionCredentials.SessionCredentials), (found) => {
  const provided = Option.getOrUndefined(found)
  const problem = provided === undefined ? undefined : SessionCredentials.problemOf(provided)
  return problem === undefined
    ? { credentials: provided, problems: [] }
    : { credentials: undefined, problems: [new ConfigProblem({ path: "SessionCredentials", problem })] }
})

/**
 * Options with the namespace that their name servers stand for (`http://MQ_INST_1_x.ons.example:8080`), unless they have one
 * of either kind. Where they leave the name servers open, those of `NAMESRV_ADDR` count.
 *
 * Source: RocketMQ `ClientConfig.getNamespace`.
 */
export const withEndpointNamespace = <
  O extends {
    readonly namesrvAddr?: string | ReadonlyArray<string> | undefined
    readonly namespace?: string | undefined
    readonly namespaceV2?: string | undefined
  }
>(
  options: O
): Effect.Effect<O> => {
  const { namesrvAddr, namespace: own, namespaceV2 } = options
  if (own !== undefined || namespaceV2 !== undefined) return Effect.succeed(options)
  const given =
    namesrvAddr === undefined
      ? Effect.map(namesrvFromEnvironment, (found) => found.namesrvAddr)
      : Effect.succeed(namesrvAddr)
  return Effect.map(given, (addresses) => {
    const namespace = addresses === undefined ? undefined : namespaceOf(addresses)
    return namespace === undefined ? options : { ...options, namespace }
  })
}

/**
 * Fills in what a checked configuration leaves open: name servers from `NAMESRV_ADDR`, the namespace that they stand for,
 * credentials from the service `SessionCredentials`, hooks from `RpcHooks`; and checks what it takes from there. Fails with an `InvalidConfig` that lists
 * every problem; the caller knows which step of a start it is.
 */
export const resolve = (config: Checked<ClientConfig>): Effect.Effect<ClientConfig, InvalidConfig> =>
  complete({ config, problems: [] })

/** {@link resolve} for options that were only just checked: their problems and those of what is filled in, all at once. */
export const complete = Effect.fnUntraced(function* ({
  config: given,
  problems: found
}: Resolution<ClientConfig>): Effect.fn.Return<ClientConfig, InvalidConfig> {
  const config = yield* withEndpointNamespace(given)
  const { remoting } = config
  const hooks = yield* RpcHooks.RpcHooks
  const rpcHook = RpcHooks.combine(remoting.rpcHook === undefined ? hooks : [remoting.rpcHook, ...hooks])
  const nameServers =
    config.namesrvAddr === undefined ? yield* namesrvFromEnvironment : { namesrvAddr: config.namesrvAddr, problems: [] }
  const access =
    config.credentials === undefined ? yield* providedCredentials : { credentials: config.credentials, problems: [] }
  const problems = [...nameServers.problems, ...access.problems, ...found]
  if (problems.length > 0) return yield* new InvalidConfig({ problems })
  return {
    ...config,
    namesrvAddr: nameServers.namesrvAddr,
    credentials: access.credentials,
    remoting: { ...remoting, rpcHook }
  }
})
