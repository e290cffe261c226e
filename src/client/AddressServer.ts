import { Effect, Layer, Option } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as Millis from "../message/Millis.ts"
import * as ForeignText from "../message/ForeignText.ts"
import type { ClientConfig } from "./ClientConfig.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"
import { AddressServerFailed } from "./ClientError.ts"

/**
 * The URL of the address server, or undefined when no domain is configured.
 *
 * Source: RocketMQ `MixAll.getWSAddr`, `DefaultTopAddressing`.
 */
export const url = (config: ClientConfig): string | undefined => {
  if (config.namesrvDomain === undefined || config.namesrvDomain.trim() === "") return undefined
  const host = config.namesrvDomain.indexOf(":") > 0 ? config.namesrvDomain : `${config.namesrvDomain}:8080`
  const unit = config.unitName === undefined || config.unitName.trim() === "" ? "" : `-${config.unitName}?nofix=1`
  return `http://${host}/rocketmq/${config.namesrvDomainSubgroup}${unit}`
}

/** How long one fetch may take, in milliseconds (Java: 3,000). */
const FETCH_TIMEOUT_MILLIS = 3_000

// Loaded only when an address server is asked: most clients never need HTTP, and its modules take time to load.
const nodeHttpClient = Layer.unwrap(
  Effect.map(
    Effect.promise(() => import("@effect/platform-node/NodeHttpClient")),
    (module) => module.layerNodeHttp
  )
)

const get = (
  address: string
): Effect.Effect<string, AddressServerFailed | HttpClientError.HttpClientError, HttpClient.HttpClient> =>
  Effect.flatMap(
    HttpClient.get(address),
    (response): Effect.Effect<string, AddressServerFailed | HttpClientError.HttpClientError> =>
      response.status === 200
        ? response.text
        : Effect.fail(
            new AddressServerFailed({
              url: address,
              problem: "status",
              detail: `it answered status ${response.status}`
            })
          )
  )

/**
 * Reads the name server list from an address server: the first line of a 200 answer, `host:port;host:port`. Any other
 * answer (another status, an empty one, a page of HTML) fails with {@link AddressServerFailed}. The `HttpClient` of the
 * context is used where there is one, Node's otherwise.
 *
 * Source: RocketMQ `DefaultTopAddressing.fetchNSAddr`.
 */
export const fetch = Effect.fnUntraced(function* (address: string) {
  const own = yield* Effect.serviceOption(HttpClient.HttpClient)
  const text = yield* get(address).pipe(
    Effect.provide(Option.isSome(own) ? Layer.succeed(HttpClient.HttpClient, own.value) : nodeHttpClient),
    Effect.timeoutOrElse({
      duration: FETCH_TIMEOUT_MILLIS,
      orElse: () =>
        Effect.fail(
          new AddressServerFailed({
            url: address,
            problem: "unreachable",
            detail: `no answer within ${Millis.text(FETCH_TIMEOUT_MILLIS)}`
          })
        )
    }),
    Effect.mapError((error) =>
      error._tag === "AddressServerFailed"
        ? error
        : new AddressServerFailed({ url: address, problem: "unreachable", detail: ForeignText.clean(error.message) })
    )
  )
  const line = text.trim().split(/\r?\n/, 1)[0] ?? ""
  if (line === "") {
    return yield* new AddressServerFailed({ url: address, problem: "empty", detail: "its answer is empty" })
  }
  const { addresses, problems } = parseNamesrvAddr(line)
  if (problems.length > 0 || addresses.length === 0) {
    return yield* new AddressServerFailed({
      url: address,
      problem: "not-a-list",
      detail: `its answer is no address list: ${ForeignText.clean(line, 60)}`
    })
  }
  return addresses
})
