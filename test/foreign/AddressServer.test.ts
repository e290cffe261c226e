import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { inspect } from "node:util"
import * as AddressServer from "../../src/client/AddressServer.ts"
import { harmIn, LONG } from "./Harm.ts"

const HARM = "\u001b]0;owned\u0007\u009b31m\u202e\u2066"

const answering = (answer: (request: Parameters<typeof HttpClientResponse.fromWeb>[0]) => Response) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, answer(request))))
  )

const headers = (location: string) => ({ status: 302, headers: { location } })

/** Latin-1, as a header has it. */
const inHeader = Array.from(HARM, (c) => ((c.codePointAt(0) ?? 0) > 255 || /\p{Cc}/u.test(c) ? "%1b" : c)).join("")

describe("what an address server answers does no harm where it is shown", () => {
  const answers: Readonly<Record<string, Layer.Layer<HttpClient.HttpClient>>> = {
    "a body": answering(() => new Response(`${HARM}${LONG}\nnext`)),
    "a body with an address in it": answering(() => new Response(`127.0.0.1:9876;${HARM}:9876`)),
    "a status": answering(() => new Response(HARM, { status: 599, statusText: "\u00e9" })),
    "a redirect to another scheme": answering(() => new Response("", headers(`ftp://host/${inHeader}${LONG}`))),
    "a redirect to nowhere": answering(() => new Response("", headers(`http://[${inHeader}${LONG}`))),
    "what the platform says": Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request) =>
        Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({
              request,
              cause: new Error(HARM + LONG),
              description: HARM + LONG
            })
          })
        )
      )
    )
  }
  for (const [name, client] of Object.entries(answers)) {
    it.effect(`A27: ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(AddressServer.fetch("http://ns.example/rocketmq/nsaddr"))
        for (const text of [error.message, error.detail, ...inspect(error).split("\n")]) {
          assert.isUndefined(harmIn(text), JSON.stringify(text))
        }
      }).pipe(Effect.provide(client))
    )
  }
})
