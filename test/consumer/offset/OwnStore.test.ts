import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { onTcp } from "../../support/rig.ts"

const script = fileURLToPath(new URL("../fixtures/ownOffsets.ts", import.meta.url))

/** Runs a member of the group until it ends or kills itself. */
const run = (namesrvAddr: string, database: string, kill: string) =>
  Effect.callback<{ readonly signal: string | null; readonly stdout: string }>((resume) => {
    const child = spawn(
      process.execPath,
      ["--conditions=@effect-rocketmq/source", script, namesrvAddr, database, kill],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let stdout = ""
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.on("close", (_, signal) => resume(Effect.succeed({ signal, stdout })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

describe("results and offsets in one database", () => {
  it.live(
    "C-40: each message has its effect exactly once, wherever in its transactions the process is killed",

    () =>
      Effect.gen(function* () {
        const folder = mkdtempSync(Path.join(tmpdir(), "own-offsets-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
        const database = Path.join(folder, "billing.sqlite")
        const { namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* DefaultMQProducer.make({ producerGroup: "orders-pg", namesrvAddr })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        const orders = Array.from({ length: 24 }, (_, n) => `order ${n}`)
        for (const body of orders) yield* producer.send(Message.make({ topic: "orders", body }))
        const bills = () => {
          const db = new DatabaseSync(database)
          const found = db.prepare("SELECT order_text FROM bills").all()
          db.close()
          return found.map((row) => String(row["order_text"]))
        }
        // The first ones write where each queue begins, the last ones how far it was read.
        for (const kill of ["before 2", "after 7", "before 18", "before 26", "after 27"]) {
          const { signal } = yield* run(namesrvAddr, database, kill)
          assert.strictEqual(signal, "SIGKILL", kill)
          const found = bills()
          assert.strictEqual(new Set(found).size, found.length, kill)
        }
        const { stdout } = yield* run(namesrvAddr, database, "")
        assert.isAbove(Number(stdout), 0)
        assert.sameMembers(bills(), orders)
        // Nothing is left to read.
        assert.strictEqual((yield* run(namesrvAddr, database, "")).stdout, "0\n")
      }).pipe(Effect.scoped, onTcp({ topics: { orders: {} } })),
    { timeout: 90_000 }
  )
})
