/** The conformance suite: what producers and consumers promise, asserted on whatever cluster a layer provides. */
import { describe, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import type { Wire } from "../../src/transport/Wire.ts"
import { Observer } from "./Observer.ts"
import { Target } from "./Target.ts"
import * as Batch from "./batch.ts"
import * as Compression from "./compression.ts"
import * as Consume from "./consume.ts"
import * as ConsumeBroadcast from "./consumeBroadcast.ts"
import * as ConsumeFilter from "./consumeFilter.ts"
import * as ConsumeGroup from "./consumeGroup.ts"
import * as ConsumeLitePull from "./consumeLitePull.ts"
import * as ConsumeOffsets from "./consumeOffsets.ts"
import * as ConsumeOrder from "./consumeOrder.ts"
import * as ConsumePop from "./consumePop.ts"
import * as ConsumeReset from "./consumeReset.ts"
import * as ConsumeRetry from "./consumeRetry.ts"
import * as ConsumeStream from "./consumeStream.ts"
import * as Delay from "./delay.ts"
import * as Errors from "./errors.ts"
import * as Membership from "./membership.ts"
import * as RequestReply from "./requestReply.ts"
import * as Ordered from "./ordered.ts"
import * as Results from "./results.ts"
import * as Retries from "./retries.ts"
import * as Routes from "./routes.ts"
import * as Sends from "./sends.ts"
import * as SimpleConsumers from "./simpleConsumer.ts"
import * as Start from "./start.ts"
import * as Transactions from "./transactions.ts"

/** Registers the suite for one target. The cluster is started once; a layer that fails, fails the suite. */
export const conformance = <E>(name: string, target: Layer.Layer<Target | Wire, E>): void => {
  const observed = Layer.unwrap(Effect.map(Target, ({ namesrvAddr }) => Observer.layer(namesrvAddr))).pipe(
    Layer.provideMerge(target),
    // Faults are made on purpose; what the client says about them is tested elsewhere.
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )
  describe(`conformance: ${name}`, () => {
    layer(observed, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      describe("start", () => Start.tests(test))
      describe("routes", () => Routes.tests(test))
      describe("sends", () => Sends.tests(test))
      describe("results", () => Results.tests(test))
      describe("order", () => Ordered.tests(test))
      describe("batches", () => Batch.tests(test))
      describe("packed bodies", () => Compression.tests(test))
      describe("delays", () => Delay.tests(test))
      describe("transactions", () => Transactions.tests(test))
      describe("request and reply", () => RequestReply.tests(test))
      describe("consume: messages", () => Consume.tests(test))
      describe("consume: offsets", () => ConsumeOffsets.tests(test))
      describe("consume: order", () => ConsumeOrder.tests(test))
      describe("consume: broadcasting", () => ConsumeBroadcast.tests(test))
      describe("consume: resets", () => ConsumeReset.tests(test))
      describe("consume: redeliveries", () => ConsumeRetry.tests(test))
      describe("consume: streams", () => ConsumeStream.tests(test))
      describe("consume: lite pull", () => ConsumeLitePull.tests(test))
      describe("consume: pops", () => ConsumePop.tests(test))
      describe("consume: simple", () => SimpleConsumers.tests(test))
      describe("consume: filters", () => ConsumeFilter.tests(test))
      describe("consume: groups", () => ConsumeGroup.tests(test))
      describe("errors", () => Errors.tests(test))
      describe("membership and shutdown", () => Membership.tests(test))
      describe("retries", () => Retries.tests(test))
    })
  })
}
