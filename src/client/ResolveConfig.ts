import { Config, Effect, Option } from "effect"
import type { ClientConfig } from "./ClientConfig.ts"
import { check } from "./ClientConfig.ts"
import { ConfigProblem, InvalidConfig, StartError } from "./ClientError.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"
import * as RpcHooks from "./RpcHooks.ts"
import { SessionCredentials } from "./SessionCredentials.ts"

const invalid = (problems: ReadonlyArray<ConfigProblem>) =>
  new StartError({
    step: "2.3",
    name: "get or create MQClientInstance",
    reason: new InvalidConfig({ problems: [...problems] })
  })

/** The name servers of the environment variable `NAMESRV_ADDR`, through `Config`. */
const namesrvFromEnvironment = Config.option(Config.String("NAMESRV_ADDR")).pipe(
  Effect.mapError((error) => invalid([new ConfigProblem({ path: "NAMESRV_ADDR", problem: error.message })]))
)

const withNamesrv = Effect.fnUntraced(function* (config: ClientConfig) {
  if (config.namesrvAddr !== undefined) return config
  const fromEnvironment = yield* namesrvFromEnvironment
  if (Option.isNone(fromEnvironment) || fromEnvironment.value.trim() === "") return config
  const { problems } = parseNamesrvAddr(fromEnvironment.value)
  if (problems.length > 0) {
    return yield* invalid(
      problems.map(
        ({ path, problem }) => new ConfigProblem({ problem, path: path.replace("namesrvAddr", "NAMESRV_ADDR") })
      )
    )
  }
  return { ...config, namesrvAddr: fromEnvironment.value }
})

/**
 * Fills in what a configuration leaves open, name servers from `NAMESRV_ADDR`, credentials from the service
 * `SessionCredentials`, hooks from `RpcHooks`, and checks the whole of it. Fails with a `StartError` that lists every problem.
 */
export const resolve = Effect.fnUntraced(function* (config: ClientConfig) {
  const provided = yield* Effect.serviceOption(SessionCredentials)
  const credentials = config.credentials ?? Option.getOrUndefined(provided)
  const { remoting } = config
  const hooks = yield* RpcHooks.RpcHooks
  const rpcHook = RpcHooks.combine(remoting.rpcHook === undefined ? hooks : [remoting.rpcHook, ...hooks])
  const resolved: ClientConfig = { ...(yield* withNamesrv(config)), credentials, remoting: { ...remoting, rpcHook } }
  const problem = check(resolved)
  if (problem !== undefined) return yield* invalid(problem.problems)
  return resolved
})
