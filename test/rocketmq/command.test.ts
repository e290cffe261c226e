/** The main job, `consume` and `doctor --group` on real brokers. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Console, Effect, Exit, Fiber } from "effect"
import { TestConsole } from "effect/testing"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { demo } from "../../src/cli/demo/DemoRun.ts"
import { cli } from "../cli/support.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import type { Release } from "../conformance/Target.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import { createTopic, services, TEST_TIMEOUT } from "./support.ts"

const BROKER = "broker-a"

/** A call of the command on the cluster. */
const call = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(RocketMQ, ({ namesrvAddr }) => cli([...args, "--namesrv", namesrvAddr]))

for (const version of ["5.5.0", "4.9.7"] satisfies ReadonlyArray<Release>) {
  layer(services({ version, brokers: [{ name: BROKER }] }), { excludeTestServices: true, timeout: "10 minutes" })(
    `the command on RocketMQ ${version}`,
    (test) => {
      test.effect(
        "the main job sends, consumes in a group of two, and leaves neither topic nor group",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            const console = yield* TestConsole.make
            const exit = yield* demo({ messages: 2_000, concurrency: 64 }).pipe(
              Effect.provide([
                NodeServices.layer,
                ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NAMESRV_ADDR: namesrvAddr }))
              ]),
              Effect.provideService(Console.Console, console),
              Effect.exit
            )
            const out = (yield* console.logLines).map(String)
            assert.isTrue(Exit.isSuccess(exit), out.join("\n"))
            assert.match(out.join("\n"), /2,000 of 2,000 equal in body, ids and offset/)
            assert.match(out.join("\n"), /demo-10 failed at member 1: .* came again \S+ s later/)
            for (const what of ["topic", "group"]) {
              assert.notInclude((yield* call(what, "list", "--all", "--json")).out.join(), "demo-")
            }
          }),
        TEST_TIMEOUT
      )

      test.effect(
        "consume counts, gives back, and goes on where the group is; doctor --group shows the group",
        () =>
          Effect.gen(function* () {
            const topic = yield* createTopic("consume", [BROKER])
            const group = uniqueName("readers")
            const consume = (...args: ReadonlyArray<string>) =>
              call("consume", "--topic", topic, "--group", group, "--json", ...args)
            const unknown = yield* call("consume", "--topic", uniqueName("nope"), "--group", group)
            assert.strictEqual(unknown.exitCode, 4)
            assert.strictEqual((yield* call("send", "--topic", topic, "--count", "20")).exitCode, 0)
            const first = yield* consume("--count", "15")
            assert.strictEqual(first.exitCode, 0, first.talk.join("\n"))
            assert.strictEqual(first.out.length, 15)
            const rest = yield* consume("--count", "5", "--idle-timeout", "30s")
            assert.strictEqual(rest.exitCode, 0, rest.talk.join("\n"))
            const ids = [...first.out, ...rest.out].map((line) => String(JSON.parse(line).msgId))
            assert.strictEqual(new Set(ids).size, 20)
            assert.strictEqual((yield* call("send", "--topic", topic, "--count", "2")).exitCode, 0)
            const again = yield* consume("--count", "2", "--fail-first", "1", "--idle-timeout", "60s")
            assert.strictEqual(again.exitCode, 0, again.talk.join("\n"))
            assert.deepInclude(JSON.parse(again.talk.at(-1) ?? ""), { consumed: 2, failed: 2 })
            const reading = yield* Effect.forkChild(consume(), { startImmediately: true })
            yield* eventuallyThat(call("doctor", "--group", group, "--topic", topic, "--json"), ({ exitCode, out }) => {
              assert.strictEqual(exitCode, 0)
              const { steps } = JSON.parse(out.join())
              assert.deepStrictEqual(
                steps
                  .filter(({ step }: { readonly step: number }) => step > 11)
                  .map(({ verdict }: { readonly verdict: string }) => verdict),
                ["ok", "ok", "ok", "ok", "ok", "ok"]
              )
            })
            yield* Fiber.interrupt(reading)
            const { namesrvAddr } = yield* RocketMQ
            yield* makeAdmin({ namesrvAddr }).pipe(
              Effect.flatMap((admin) => admin.createSubscriptionGroup({ groupName: group, consumeEnable: false })),
              Effect.provide(MQClientManager.layer),
              Effect.scoped
            )
            const closed = yield* call("doctor", "--group", group, "--json")
            assert.strictEqual(closed.exitCode, 4, closed.out.join("\n"))
            assert.match(JSON.parse(closed.out.join()).failure.detail, /^consumeEnable is false on /)
            // What the remedy says.
            assert.strictEqual((yield* call("group", "update", group, "--consume")).exitCode, 0)
            assert.strictEqual((yield* call("doctor", "--group", group)).exitCode, 0)
          }),
        TEST_TIMEOUT
      )
    }
  )
}
