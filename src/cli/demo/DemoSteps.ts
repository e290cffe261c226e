import { Clock, Console, Context, Effect } from "effect"
import type { StartObserver, StartStep } from "../../client/StartStep.ts"
import { type Palette } from "../Screen.ts"
import { duration } from "../Text.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** Prints the start-up steps of a producer or a consumer, in their order, each with its number, state and time. */
export interface StepPrinter {
  readonly observer: Context.Service.Shape<typeof StartObserver>
  /** Ends when a step with that number has ended, in the background perhaps. */
  readonly ended: (id: string) => Effect.Effect<void>
}

interface Line {
  readonly step: StartStep
  state: "running" | "done" | "failed" | "interrupted"
  millis: number
}

const NAME_WIDTH = 63

/** Whether it is a step of the client instance, within one of the producer's or the consumer's. */
const inner = ({ id }: StartStep) => id.startsWith("3.")

/** A {@link StepPrinter}. A step of the client instance is printed below the step that it is part of. */
export const make = Effect.fnUntraced(function* (colors: Palette) {
  const clock = yield* Clock.Clock
  let lines: Array<Line> = []
  const over = new Set<string>()

  const flush = Effect.suspend(() => {
    const ready = lines
    lines = []
    return Effect.forEach(
      ready,
      ({ millis, state, step }) => {
        const color = state === "done" ? colors.good : colors.bad
        const name = `${inner(step) ? "  " : ""}${step.id.padEnd(inner(step) ? 5 : 7)}${step.name}`
        return Console.log(`  ${name.padEnd(NAME_WIDTH)}  ${color(state)}  ${colors.dim(duration(millis).padStart(8))}`)
      },
      { discard: true }
    )
  })

  const observer: StepPrinter["observer"] = {
    around: (step, self) =>
      Effect.suspend(() => {
        const line: Line = { step, state: "running", millis: 0 }
        lines.push(line)
        const now = monotonicMillis(clock)
        const begin = now()
        return Effect.onExit(self, (exit) => {
          line.millis = now() - begin
          line.state =
            exit._tag === "Success"
              ? "done"
              : exit.cause.reasons.some((reason) => reason._tag === "Fail")
                ? "failed"
                : "interrupted"
          over.add(step.id)
          return inner(step) ? Effect.void : flush
        })
      })
  }

  const printer: StepPrinter = {
    observer,
    ended: (id) =>
      Effect.sleep(5).pipe(Effect.repeat({ until: () => over.has(id) }), Effect.timeoutOption(3_000), Effect.asVoid)
  }
  return printer
})
