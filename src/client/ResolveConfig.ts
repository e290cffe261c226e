import { Config, Effect, Option } from "effect"
import type { ClientConfig } from "./ClientConfig.ts"
import { problems as problemsOf } from "./ClientConfig.ts"
import { ConfigProblem, InvalidConfig } from "./ClientError.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"
import * as RpcHooks from "./RpcHooks.ts"
import { SessionCredentials } from "./SessionCredentials.ts"

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

/**
 * Fills in what a configuration leaves open, name servers from `NAMESRV_ADDR`, credentials from the service
 * `SessionCredentials`, hooks from `RpcHooks`, and checks the whole of it. Fails with an `InvalidConfig` that lists
 * every problem; the caller knows which step of a start it is.
 */
export const resolve = Effect.fnUntraced(function* (config: ClientConfig) {
  const provided = yield* Effect.serviceOption(SessionCredentials)
  const credentials = config.credentials ?? Option.getOrUndefined(provided)
  const { remoting } = config
  const hooks = yield* RpcHooks.RpcHooks
  const rpcHook = RpcHooks.combine(remoting.rpcHook === undefined ? hooks : [remoting.rpcHook, ...hooks])
  const { namesrvAddr, problems: ofEnvironment } =
    config.namesrvAddr === undefined ? yield* namesrvFromEnvironment : { namesrvAddr: config.namesrvAddr, problems: [] }
  const resolved: ClientConfig = { ...config, namesrvAddr, credentials, remoting: { ...remoting, rpcHook } }
  const problems = [...ofEnvironment, ...problemsOf(resolved)]
  return problems.length === 0 ? resolved : yield* new InvalidConfig({ problems })
})
