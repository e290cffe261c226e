import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Fiber, Layer } from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../../../src/cli/dev/dev.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MemoryWire from "../../../src/transport/MemoryWire.ts"
import { Wire } from "../../../src/transport/Wire.ts"
import { cli } from "../support.ts"

/** Runs `dev` until it has announced itself, and then something beside it. */
const beside = <A, E>(input: Partial<Parameters<typeof run>[0]>, body: Effect.Effect<A, E, Wire>) =>
  Effect.gen(function* () {
    const console = yield* TestConsole.make
    const dev = yield* run({ host: "127.0.0.1", port: undefined, brokers: 1, json: false, ...input }).pipe(
      Effect.provideService(Console.Console, console),
      Effect.forkChild({ startImmediately: true })
    )
    for (let turn = 0; turn < 100 && (yield* console.logLines).length === 0; turn++) yield* Effect.yieldNow
    const value = yield* body
    yield* Fiber.interrupt(dev)
    return { value, out: yield* console.logLines, talk: yield* console.errorLines }
  }).pipe(Effect.provide(MemoryWire.layer))

describe("dev", () => {
  it.effect("prints its addresses, serves, and ends when it is interrupted", () =>
    Effect.gen(function* () {
      const { out, talk, value } = yield* beside(
        {},
        cli(["send", "-t", "orders", "--body", "x", "--namesrv", "127.0.0.1:9876"])
      )
      assert.strictEqual(value.exitCode, 0)
      assert.deepStrictEqual(talk, [])
      assert.match(String(out[0]), /^ready in .*: RocketMQ in this process, kept in memory only$/)
      assert.includeMembers(
        [...out],
        [
          "  name server  127.0.0.1:9876",
          "  broker-a     127.0.0.1:10911  DefaultCluster  VIP channel 127.0.0.1:10909",
          '  export NAMESRV_ADDR="127.0.0.1:9876"'
        ]
      )
    })
  )

  it.effect("tells a program where everything is", () =>
    Effect.gen(function* () {
      const { out } = yield* beside({ port: 9_999, brokers: 2, json: true }, Effect.void)
      assert.strictEqual(out.length, 1)
      const told = JSON.parse(String(out[0]))
      for (const { address, vipAddress } of told.brokers) {
        assert.isTrue(vipAddress === null || Number(vipAddress.split(":")[1]) === Number(address.split(":")[1]) - 2)
      }
      assert.deepInclude(told, {
        namesrvAddr: "127.0.0.1:9999",
        clusterName: "DefaultCluster",
        nameServers: [{ name: "namesrv-0", address: "127.0.0.1:9999" }]
      })
      assert.deepStrictEqual(
        told.brokers.map((broker: { readonly name: string; readonly id: number }) => [broker.name, broker.id]),
        [
          ["broker-a", 0],
          ["broker-b", 0]
        ]
      )
    })
  )

  it.effect("says which broker has no VIP channel", () =>
    Effect.gen(function* () {
      const { out } = yield* beside({ brokers: 3 }, Effect.void)
      assert.include(out, "  broker-c     127.0.0.1:10913  DefaultCluster  no VIP channel: its port is taken")
    })
  )

  it.effect("warns when others can reach it, and refuses an address nobody can connect to", () =>
    Effect.gen(function* () {
      const { talk } = yield* beside({ host: "192.168.7.7" }, Effect.void)
      assert.match(String(talk[0]), /^warning: 192\.168\.7\.7 is not a loopback address: .*no access control$/)
      const everywhere = yield* cli(["dev", "--host", "0.0.0.0"]).pipe(Effect.provide(MemoryWire.layer))
      assert.strictEqual(everywhere.exitCode, 2)
      assert.match(everywhere.talk.join("\n"), /brokers announce the address they listen on[^]*--host /)
    })
  )

  it.effect("says what to do about a port that is taken", () =>
    Effect.gen(function* () {
      const call = yield* cli(["dev"])
      assert.strictEqual(call.exitCode, 1)
      assert.match(call.talk[0] ?? "", /listen 127\.0\.0\.1:9876 failed \(in-use\)/)
      assert.match(call.talk[1] ?? "", /--port 0 takes free ones/)
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layer({ listen: { namesrvPort: 9_876 } }).pipe(Layer.provideMerge(MemoryWire.layer))
      )
    )
  )
})
