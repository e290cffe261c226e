/** Address servers over real HTTP whose answers are valid and absurd. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as http from "node:http"
import { gzipSync } from "node:zlib"
import * as AddressServer from "../../../src/client/AddressServer.ts"
import { AddressServerFailed } from "../../../src/client/ClientError.ts"
import { LeakCheck } from "../../../src/testing/index.ts"
import { elapsed, eventually } from "./rig.ts"

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void

interface Served {
  readonly url: string
  /** How many bytes were written to clients. */
  readonly written: () => number
  readonly open: () => number
  readonly asked: ReadonlyArray<string>
}

/** Serves HTTP for as long as the scope is open. */
const serve = (handler: (served: Served) => Handler) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly served: Served; readonly server: http.Server }>((resume) => {
      const asked: Array<string> = []
      let written = 0
      let open = 0
      const server = http.createServer((request, response) => {
        asked.push(request.url ?? "")
        const before = request.socket.bytesWritten
        open++
        response.on("close", () => {
          open--
          written += request.socket.bytesWritten - before
        })
        response.on("error", () => {})
        handler(served)(request, response)
      })
      const address = () => {
        const bound = server.address()
        return bound !== null && typeof bound === "object" ? `127.0.0.1:${bound.port}` : ""
      }
      const served: Served = {
        get url() {
          return `http://${address()}/list`
        },
        written: () => written,
        open: () => open,
        asked
      }
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ served, server })))
    }),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  ).pipe(Effect.map(({ served }) => served))

/** Writes for as long as the client takes it. */
const endlessly = (response: http.ServerResponse, chunk: string) => {
  response.writeHead(200)
  const write = () => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on("drain", write)
  write()
}

/** What a fetch fails with; the server has seen the end of every connection then. */
const failed = (served: Served) =>
  Effect.gen(function* () {
    const { exit, millis } = yield* elapsed(Effect.flip(AddressServer.fetch(served.url)))
    const error = yield* exit
    assert.instanceOf(error, AddressServerFailed)
    assert.isBelow(error.message.length, 500)
    yield* eventually(
      "every answer has ended",
      Effect.sync(() => served.open() === 0)
    )
    return { error, millis }
  })

const run = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) =>
  LeakCheck.check(Effect.scoped(test), { graceMillis: 20_000 })

describe("an address server whose answer is absurd", () => {
  it.live("A7: without an end: no more is read than a list can have", () =>
    run(
      Effect.gen(function* () {
        const served = yield* serve(() => (_, response) => endlessly(response, "a".repeat(1_000)))
        const { error } = yield* failed(served)
        assert.strictEqual(error.problem, "too-large")
        assert.isBelow(served.written(), 16 << 20)
      })
    )
  )

  it.live("A7: without an end, behind a line with a list: the line counts, and the connection ends", () =>
    run(
      Effect.gen(function* () {
        const served = yield* serve(() => (_, response) => endlessly(response, " \r\n a:9876;b:9876\n"))
        assert.deepStrictEqual(yield* AddressServer.fetch(served.url), ["a:9876", "b:9876"])
        yield* eventually(
          "every answer has ended",
          Effect.sync(() => served.open() === 0)
        )
      })
    )
  )

  it.live("A7: of blank lines without an end", () =>
    run(
      Effect.gen(function* () {
        const served = yield* serve(() => (_, response) => endlessly(response, "\n".repeat(1_000)))
        const { error } = yield* failed(served)
        assert.strictEqual(error.problem, "too-large")
      })
    )
  )

  it.live("A7: that unpacks to a thousand times its size", () =>
    run(
      Effect.gen(function* () {
        const packed = gzipSync(Buffer.alloc(64 << 20, "a"))
        const served = yield* serve(() => (_, response) => {
          response.writeHead(200, { "content-encoding": "gzip" })
          response.end(packed)
        })
        const { error } = yield* failed(served)
        assert.strictEqual(error.problem, "too-large")
      })
    )
  )

  it.live("A7: that ends in its middle, or is no HTTP: what was wrong is said", () =>
    run(
      Effect.gen(function* () {
        const cut = yield* serve(() => (request, response) => {
          response.writeHead(200)
          response.write("a", () => request.socket.destroy())
        })
        const noHttp = yield* serve(() => (request) => void request.socket.end("hello\u001b[31m\r\n\r\n"))
        for (const served of [cut, noHttp]) {
          const { error } = yield* failed(served)
          assert.strictEqual(error.problem, "unreachable")
          assert.match(error.detail, /\(.*GET http:\/\/127\.0\.0\.1:\d+\/list\): \w.{5,}$/)
          assert.notInclude(error.message, "\u001b")
        }
      })
    )
  )

  it.live("where nobody listens, the error says so", () =>
    run(
      Effect.gen(function* () {
        const served = yield* Effect.scoped(serve(() => () => {}).pipe(Effect.map(({ url }) => url)))
        const error = yield* Effect.flip(AddressServer.fetch(served))
        assert.include(error.message, "ECONNREFUSED")
      })
    )
  )

  it.live("A7: byte by byte: within the time of the whole", () =>
    run(
      Effect.gen(function* () {
        const served = yield* serve(() => (_, response) => {
          response.writeHead(200)
          const timer = setInterval(() => response.write("a"), 20)
          response.on("close", () => clearInterval(timer))
        })
        const { error, millis } = yield* failed(served)
        assert.strictEqual(error.problem, "unreachable")
        assert.isAtLeast(millis, 2_900)
      })
    )
  )

  it.live("A7: of thousands of addresses", () =>
    run(
      Effect.gen(function* () {
        const list = Array.from({ length: 5_000 }, (_, i) => `h${i}:1`).join(";")
        const served = yield* serve(() => (_, response) => void response.end(list))
        const { error } = yield* failed(served)
        assert.strictEqual(error.problem, "not-a-list")
        assert.include(error.detail, "5000 addresses")
      })
    )
  )

  it.live("A7: that is a redirect to itself, to another scheme, or to nowhere", () =>
    run(
      Effect.gen(function* () {
        for (const [location, asked] of [
          ["/list", 6],
          ["https://127.0.0.1:1/list", 1],
          ["file:///etc/passwd", 1],
          ["http://", 1],
          [undefined, 1]
        ] as const) {
          const served = yield* serve(() => (_, response) => {
            response.writeHead(302, location === undefined ? {} : { location })
            response.end("moved")
          })
          const { error } = yield* failed(served)
          assert.deepStrictEqual([error.problem, served.asked.length], ["redirect", asked], location)
        }
      })
    )
  )

  it.live("A11: redirects within a scheme are followed, as far as there are few", () =>
    run(
      Effect.gen(function* () {
        const served = yield* serve(() => ({ url = "" }, response) => {
          const hop = Number(/\d+/.exec(url)?.[0] ?? 0)
          if (hop < 5) response.writeHead([301, 302, 303, 307, 308][hop] ?? 302, { location: `/hop-${hop + 1}` })
          response.end(hop < 5 ? "" : "a:9876\n")
        })
        assert.deepStrictEqual(yield* AddressServer.fetch(served.url), ["a:9876"])
        assert.lengthOf(served.asked, 6)
      })
    )
  )
})
