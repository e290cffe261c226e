import type { Context } from "effect"
import * as OperationMetrics from "../../client/telemetry/OperationMetrics.ts"
import type { SendRecorder } from "../send/SendObserver.ts"
import { errorType } from "./TelemetryFacts.ts"

const operation: OperationMetrics.Operation = {
  name: "send",
  type: "send",
  duration: {
    name: "messaging.client.operation.duration",
    description: "Time from the call of a send to its end, all attempts together"
  },
  messages: { name: "messaging.client.sent.messages", description: "Messages that a producer tried to send" }
}

/** Makes the recorder of a producer. */
export const make = (context: Context.Context<never>): SendRecorder => {
  const { failed, succeeded } = OperationMetrics.make(context, operation)
  return {
    succeeded,
    failed: (topic, cause, millis, messages) => failed(topic, errorType(cause), millis, messages)
  }
}
