import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"
import { EmbeddedCluster } from "../src/testing/index.ts"
import { onTcp } from "./support/rig.ts"

/**
 * The way of a message is what docs/architecture.md says, file by file, and it stays short. Counted in a process of its
 * own, which holds no server: there each file of src counts of which a function runs between a send and its result.
 */

const run = promisify(execFile)
const script = Path.join(import.meta.dirname, "producer/fixtures/warmSend.ts")
const page = Fs.readFileSync(Path.join(import.meta.dirname, "../docs/architecture.md"), "utf8")

/** More files than this have to be entered by nobody who wants to understand a send. */
const MOST = 26

const Measured = Schema.fromJsonString(
  Schema.Struct({ status: Schema.String, files: Schema.Record(Schema.String, Schema.Array(Schema.String)) })
)

/** The files in the first column of the table of a section. */
const tableOf = (section: string): ReadonlyArray<string> => {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? ""
  return [...text.matchAll(/^\| `([\w/]+\.ts)` +\|/gm)].map((match) => match[1] ?? "")
}

describe("the way of a message", () => {
  it.live(`enters the files that docs/architecture.md lists, ${MOST} at most`, () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const { stdout } = yield* Effect.promise(() => run(process.execPath, [script, namesrvAddr]))
      const { files, status } = Schema.decodeUnknownSync(Measured)(stdout)
      assert.strictEqual(status, "SEND_OK")
      const listed = tableOf("The way of a message")
      assert.deepStrictEqual(Object.keys(files).toSorted(), listed.toSorted(), JSON.stringify(files, null, 1))
      assert.isAtMost(listed.length, MOST)
    }).pipe(onTcp({ topics: { orders: {} } }))
  )
})
