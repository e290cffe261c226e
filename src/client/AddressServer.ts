import { Effect, Layer, Option, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as ForeignText from "../message/ForeignText.ts"
import * as Millis from "../message/Millis.ts"
import { AddressServerFailed } from "./ClientError.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"

/** How long one fetch may take with all its redirects, in milliseconds (Java: 3,000). */
const FETCH_TIMEOUT_MILLIS = 3_000
/** How much of an answer is read: more than any list of addresses has. */
const MAX_BYTES = 64 * 1024
/** How many addresses a list may have. */
const MAX_ADDRESSES = 64
/** How many redirects are followed. */
const MAX_REDIRECTS = 5
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The platform's `fetch`: it shows redirects, and keeps no connection for the two minutes until the next time. */
const platformClient = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual", headers: { connection: "close" } })
)

/** How deep a platform's error is looked into for its cause. */
const MAX_CAUSES = 4

/** What went wrong, with the cause where it has one: a `fetch` that failed says only there that nobody listens. */
const whatFailed = (error: Error): string => {
  let cause: unknown = error
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error && cause.cause instanceof Error; depth++) {
    cause = cause.cause
  }
  if (cause === error || !(cause instanceof Error)) return ForeignText.clean(error.message)
  // Where several addresses were tried there is a code and no message.
  const why = cause.message === "" ? String(Reflect.get(cause, "code") ?? cause.name) : cause.message
  return `${ForeignText.clean(error.message)}: ${ForeignText.clean(why)}`
}

type Failure = (problem: AddressServerFailed["problem"], detail: string) => AddressServerFailed

const NEWLINE = 10
const RETURN = 13
const SPACE = 32

/** The bytes of an answer up to the end of its first line that is not blank; read no further than that. */
const firstLine = Effect.fnUntraced(function* (response: HttpClientResponse, failure: Failure) {
  const chunks: Array<Uint8Array> = []
  let size = 0
  let begun = false
  /** Takes a chunk; whether to go on. */
  const take = (chunk: Uint8Array): boolean => {
    size += chunk.length
    chunks.push(chunk)
    for (const byte of chunk) {
      if (begun && (byte === NEWLINE || byte === RETURN)) return false
      if (byte > SPACE) begun = true
    }
    return size <= MAX_BYTES
  }
  yield* Stream.runForEachWhile(response.stream, (chunk) => Effect.sync(() => take(chunk))).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "EmptyBodyError",
      () => Effect.void
    )
  )
  const text = Buffer.concat(chunks).toString("utf8").trim()
  const line = text.split(/[\r\n]/, 1)[0] ?? ""
  if (size > MAX_BYTES && line.length === text.length) {
    return yield* failure("too-large", `its answer has more than ${MAX_BYTES} bytes`)
  }
  return line
})

/** Where a redirect leads, or why it is not followed: another scheme would be another promise of who answers. */
const targetOf = (current: string, location: string | undefined, failure: Failure): string | AddressServerFailed => {
  if (location === undefined || !URL.canParse(location, current)) {
    return failure("redirect", `it redirects to nowhere (${ForeignText.clean(location, 60)})`)
  }
  const next = new URL(location, current)
  return next.protocol === new URL(current).protocol
    ? next.href
    : failure("redirect", `it redirects to another scheme (${ForeignText.clean(next.href, 100)})`)
}

const get = Effect.fnUntraced(function* (address: string, failure: Failure) {
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  let current = address
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    // A scope for each answer: what is not read of it is not wanted, and its connection ends.
    const answer = yield* Effect.scoped(
      Effect.flatMap(
        client.get(current),
        Effect.fnUntraced(function* (response: HttpClientResponse) {
          const { headers, status } = response
          if (status === 200) return { line: yield* firstLine(response, failure) }
          if (!redirects.has(status)) return yield* failure("status", `it answered status ${status}`)
          const target = targetOf(current, headers["location"], failure)
          return typeof target === "string" ? { target } : yield* target
        })
      )
    )
    if ("line" in answer) return answer.line
    current = answer.target
  }
  return yield* failure("redirect", `it redirects more than ${MAX_REDIRECTS} times`)
})

/**
 * Reads the name server list from an address server: the first line of a 200 answer, `host:port;host:port`. Any other
 * answer (another status, an empty one, a page of HTML, one without an end) fails with {@link AddressServerFailed}, and
 * all of it within 3 s and 64 KiB. Redirects are followed within a scheme. The `HttpClient` of the context is used where
 * there is one, the platform's `fetch` otherwise.
 *
 * Source: RocketMQ `DefaultTopAddressing.fetchNSAddr`.
 */
export const fetch = Effect.fnUntraced(function* (address: string) {
  const failure: Failure = (problem, detail) => new AddressServerFailed({ url: address, problem, detail })
  const own = yield* Effect.serviceOption(HttpClient.HttpClient)
  const line = yield* get(address, failure).pipe(
    Effect.provide(Option.isSome(own) ? Layer.succeed(HttpClient.HttpClient, own.value) : platformClient),
    Effect.timeoutOrElse({
      duration: FETCH_TIMEOUT_MILLIS,
      orElse: () => Effect.fail(failure("unreachable", `no answer within ${Millis.text(FETCH_TIMEOUT_MILLIS)}`))
    }),
    Effect.mapError((error) =>
      error._tag === "AddressServerFailed" ? error : failure("unreachable", whatFailed(error))
    )
  )
  if (line === "") return yield* failure("empty", "its answer is empty")
  const { addresses, problems } = parseNamesrvAddr(line)
  if (problems.length > 0 || addresses.length === 0) {
    return yield* failure("not-a-list", `its answer is no address list: ${ForeignText.clean(line, 60)}`)
  }
  if (addresses.length > MAX_ADDRESSES) {
    return yield* failure("not-a-list", `its answer has ${addresses.length} addresses, more than ${MAX_ADDRESSES}`)
  }
  return addresses
})
