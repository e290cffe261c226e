import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Millis from "../../src/message/Millis.ts"
import { ConnectFailed, RequestTimeout, TooManyRequests } from "../../src/transport/RemotingError.ts"

const src = Path.join(import.meta.dirname, "../../src")

describe("times in messages", () => {
  it("are whole milliseconds and never negative", () => {
    assert.strictEqual(Millis.text(3_000), "3000 ms")
    assert.strictEqual(Millis.text(2_187.33), "2188 ms")
    assert.strictEqual(Millis.text(0.01), "1 ms")
    assert.strictEqual(Millis.text(0), "0 ms")
    assert.strictEqual(Millis.text(-0.2), "0 ms")
    assert.strictEqual(Millis.text(-2_636.08), "0 ms")
  })

  it("are so in what a request can fail with, whatever the clock gave", () => {
    const address = "127.0.0.1:10911"
    const errors = [-2_636.08, 0.4, 1_999.999].flatMap((millis) => [
      new RequestTimeout({ address, code: 10, timeoutMillis: millis, sent: false }),
      new RequestTimeout({ address, code: 10, timeoutMillis: millis, sent: true }),
      new TooManyRequests({ address, timeoutMillis: millis }),
      new ConnectFailed({ address, kind: "refused", retryAfterMillis: millis, cause: undefined })
    ])
    for (const { message } of errors) assert.match(message, /(?<![\d.-])\d+ ms/, message)
    for (const { message } of errors) assert.notMatch(message, /-\d|\d\.\d+ ms/, message)
  })

  it("are written by one function, wherever a time is told", () => {
    const files = Fs.readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
    const byHand = files
      // The command line measures: it shows tenths below 10 ms, and seconds. A delay is told as the user wrote it.
      .filter((file) => !["cli/Text.ts", "message/Millis.ts", "message/MessageDelay.ts"].includes(file))
      .filter((file) => /\$\{[^}]*\} ms\b/.test(Fs.readFileSync(Path.join(src, file), "utf8")))
    assert.deepStrictEqual(byHand, [])
  })
})
