import { Context, type Effect, type Fiber, Layer, Stream } from "effect"
import type { MQClientManager } from "../client/MQClientManager.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import { callerOf } from "../producer/send/StartSend.ts"
import { managerLayer } from "./Options.ts"
import { build, type Run, runAs } from "./Run.ts"

/** A client that was started, and what its calls are made with. */
export interface Started<S> {
  readonly service: S
  readonly context: Context.Context<never>
  readonly run: Run
  /** A fiber that has what the calls' fibers have, for calls that need none. */
  readonly caller: Fiber.Fiber<unknown, unknown>
  /** Shuts it down; the second call waits for the first. */
  readonly close: () => Promise<void>
}

/** Starts the client of a layer on client instances over TCP, with services of the caller's where they are given. */
export const start = async <I, S, E>(
  key: Context.Key<I, S>,
  layer: Layer.Layer<I, E, MQClientManager>,
  services: Layer.Layer<never> | undefined,
  signal: AbortSignal | undefined
): Promise<Started<S>> => {
  const client = Layer.provide(layer, managerLayer(services))
  const { close, context } = await build(services === undefined ? client : Layer.provideMerge(client, services), signal)
  const caller = callerOf(context)
  return { service: Context.get(context, key), context, caller, run: runAs(caller), close }
}

/** What a client of either face says of its life. */
interface Life<State> {
  readonly serviceState: Effect.Effect<ServiceState>
  readonly state: Effect.Effect<State>
  readonly stateChanges: Stream.Stream<State>
}

/** The calls that every started client has. */
export const lifeCalls = <State>({ close, context, run, service }: Started<Life<State>>) => ({
  serviceState: () => run(service.serviceState, undefined),
  state: () => run(service.state, undefined),
  stateChanges: () => Stream.toAsyncIterableWith(service.stateChanges, context),
  shutdown: close,
  [Symbol.asyncDispose]: close
})
