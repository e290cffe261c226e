import { Effect } from "effect"
import { illFormedAt } from "../message/WellFormed.ts"
import { AdminError, InvalidText } from "./AdminError.ts"

const isCall = (value: unknown): value is (...given: ReadonlyArray<unknown>) => unknown => typeof value === "function"

/** The call, which fails before it asks anything when one of the texts that it is given cannot be sent. */
const guardedCall =
  (name: string, call: (...given: ReadonlyArray<unknown>) => unknown) =>
  (...given: ReadonlyArray<unknown>): unknown => {
    const at = illFormedAt(given)
    return at === undefined
      ? call(...given)
      : Effect.fail(new AdminError({ operation: `call ${name}`, done: [], reason: new InvalidText({ at }) }))
  }

/**
 * The calls of an administrator, each of which refuses text that is no well-formed UTF-16, wherever it stands in what the
 * call is given: in a name, an option, a queue, an attribute. All of them can fail with {@link AdminError}.
 */
export const guarded = <S extends object>(calls: S): S => {
  const all: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(calls)) all[name] = isCall(value) ? guardedCall(name, value) : value
  return Object.assign({ ...calls }, all)
}
