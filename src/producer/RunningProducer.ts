import type { Effect, Scope } from "effect"
import type { ConfigProblem } from "../client/ClientError.ts"
import type { MQProducerInner } from "../client/ClientMembers.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type * as MessageSends from "./ProducerSends.ts"
import type * as RequestReply from "./reply/RequestReply.ts"
import type * as Send from "./send/SendEngine.ts"
import type * as Telemetry from "./telemetry/Telemetry.ts"

/** What a producer holds while it runs. */
export interface Running {
  readonly scope: Scope.Closeable
  readonly instance: MQClientInstanceShape
  readonly sends: Send.Sends
  readonly messages: MessageSends.RunningSends
  readonly requests: RequestReply.RequestReply
  readonly telemetry: Telemetry.Telemetry
}

/** What a kind of producer adds to the plain one. */
export interface Extension {
  /** What is wrong with its own options. */
  readonly problems: ReadonlyArray<ConfigProblem>
  /** What the client instance gets to know of it besides; held until the producer has ended. */
  readonly attach: (instance: MQClientInstanceShape) => Effect.Effect<Partial<MQProducerInner>, never, Scope.Scope>
  /** Waits for its own work under way, for so many milliseconds at most; gives how much is left. */
  readonly drain: (timeoutMillis: number) => Effect.Effect<number>
}
