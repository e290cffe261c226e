import { Effect, Option } from "effect"
import { HttpClient } from "effect/http"
import type { ClientConfig } from "./ClientConfig.ts"
import { parseNamesrvAddr } from "./ClientConfig.ts"
import { AddressServerFailed, cleanRemark } from "./ClientError.ts"

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

/**
 * Reads the name server list from an address server: the first line of a 200 answer, `host:port;host:port`. Any other
 * answer (another status, an empty one, a page of HTML) fails with {@link AddressServerFailed}.
 *
 * Source: RocketMQ `DefaultTopAddressing.fetchNSAddr`.
 */
export const fetch = Effect.fnUntraced(function* (address: string) {
  const client = yield* Effect.serviceOption(HttpClient.HttpClient)
  if (Option.isNone(client)) {
    return yield* new AddressServerFailed({
      url: address,
      problem: "no-http-client",
      detail: "no HttpClient is provided to the MQClientManager (its layerTcp has one)"
    })
  }
  const text = yield* client.value.get(address).pipe(
    Effect.flatMap((response) =>
      response.status === 200
        ? response.text
        : Effect.fail(
            new AddressServerFailed({ url: address, problem: "status", detail: `it answered status ${response.status}` })
          )
    ),
    Effect.timeoutOrElse({
      duration: FETCH_TIMEOUT_MILLIS,
      orElse: () =>
        Effect.fail(
          new AddressServerFailed({
            url: address,
            problem: "unreachable",
            detail: `no answer within ${FETCH_TIMEOUT_MILLIS} ms`
          })
        )
    }),
    Effect.mapError((error) =>
      error._tag === "AddressServerFailed"
        ? error
        : new AddressServerFailed({ url: address, problem: "unreachable", detail: cleanRemark(error.message) })
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
      detail: `its answer is no address list: ${cleanRemark(line, 60)}`
    })
  }
  return addresses
})
