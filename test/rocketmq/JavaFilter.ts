/** RocketMQ's own SQL92 filters, made and evaluated in Java without a broker. */
import type { Effect } from "effect"
import type { RocketMQVersion } from "./Jars.ts"
import { runProgram } from "./JavaClient.ts"
import type { RigError } from "./RigError.ts"

/** What Java makes of a filter: how it refuses it, or a letter for each message. */
export interface JavaFilterResult {
  readonly error?: string
  /** T, F, N for unknown, X where it throws. */
  readonly results?: string
}

/** Evaluates every filter for every message. */
export const evaluate = (
  version: RocketMQVersion,
  filters: ReadonlyArray<string>,
  messages: ReadonlyArray<Readonly<Record<string, string>>>
): Effect.Effect<ReadonlyArray<JavaFilterResult>, RigError> =>
  runProgram<JavaFilterResult>("JavaFilter", { namesrvAddr: "nobody", version }, { filters, messages })
