import type { Context, Exit } from "effect"
import * as OperationMetrics from "../../client/telemetry/OperationMetrics.ts"
import type { Outgoing } from "../send/Outgoing.ts"
import type { SendError } from "../send/SendError.ts"
import { countOf, errorType } from "./TelemetryFacts.ts"

const operation: OperationMetrics.Operation = {
  name: "send",
  type: "send",
  duration: {
    name: "messaging.client.operation.duration",
    description: "Time from the call of a send to its end, all attempts together"
  },
  messages: { name: "messaging.client.sent.messages", description: "Messages that a producer tried to send" }
}

/** Records the ends of sends. */
export type RecordSend = (outgoing: Outgoing, exit: Exit.Exit<unknown, SendError>, millis: number) => void

/** Makes the recorder of a producer. */
export const make = (context: Context.Context<never>): RecordSend => {
  const record = OperationMetrics.make(context, operation)
  return (outgoing, exit, millis) => record(outgoing.topic, errorType(exit), millis, countOf(outgoing))
}
