import { Schema } from "effect"

/** What the test rig fails with: fetching jars, compiling, starting a server or running a Java client did not work. */
export class RigError extends Schema.TaggedError<RigError>()("RigError", {
  /** What was being done, as a verb phrase: "start broker-a of RocketMQ 5.5.0". */
  operation: Schema.String,
  /** What went wrong, and what to do about it when that is known. */
  detail: Schema.String,
  /** The end of the logs and of the output of the process concerned; empty when there is none. */
  output: Schema.String
}) {
  override get message() {
    const output = this.output.trim()
    return `Could not ${this.operation}: ${this.detail}${output === "" ? "" : `\n${output}`}`
  }
}

/** The last lines of a log, so that an error shows the end and not the whole. */
export const tail = (text: string, lines = 60): string => text.trimEnd().split("\n").slice(-lines).join("\n")
