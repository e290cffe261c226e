import { Context, Effect, Schema } from "effect"
import { stripVTControlCharacters } from "node:util"

/** One of the two places that output goes to. */
export interface Output {
  /** Whether a person looks at it. */
  readonly isTerminal: boolean
  readonly color: boolean
  /** Characters in a line, at which texts are broken; undefined where it is no terminal, and nothing is. */
  readonly columns: number | undefined
}

/**
 * Whether an output is coloured: on a terminal that is not `dumb`, unless `NO_COLOR` is set to anything but the empty text
 * (no-color.org).
 */
export const wantsColor = (
  isTerminal: boolean,
  environment: { readonly NO_COLOR?: string | undefined; readonly TERM?: string | undefined }
): boolean => isTerminal && (environment.NO_COLOR ?? "") === "" && environment.TERM !== "dumb"

const output = (stream: NodeJS.WriteStream): Output => ({
  isTerminal: stream.isTTY,
  color: wantsColor(stream.isTTY, process.env),
  columns: stream.isTTY ? stream.columns : undefined
})

/** Nobody reads what is written to standard output. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>()("OutputClosed", {
  /** What the system said. */
  cause: Schema.Defect()
}) {
  override get message() {
    return "nobody reads standard output any more"
  }
}

/**
 * What the command line knows of the terminal: data goes to standard output, talk and progress to standard error. Colours
 * appear on a terminal only, and not when `NO_COLOR` is set. Tests replace it.
 */
export const Screen: Context.Reference<{
  readonly stdout: Output
  readonly stderr: Output
  /** Characters in a line of the terminal; 80 where there is none. */
  readonly columns: number
  /** Shows a line that the next one replaces; undefined takes it away. Does nothing where standard error is no terminal. */
  readonly status: (line: string | undefined) => Effect.Effect<void>
  /**
   * Writes a line to standard output and succeeds when whoever reads it has accepted it; fails once nobody reads any more.
   * What was lost otherwise may be taken for done only then.
   */
  readonly line: (text: string) => Effect.Effect<void, OutputClosed>
}> = Context.Reference("effect-rocketmq/cli/Screen", {
  defaultValue: () => {
    const stderr = output(process.stderr)
    let shown = false
    return {
      stdout: output(process.stdout),
      stderr,
      columns: process.stderr.columns ?? process.stdout.columns ?? 80,
      status: (line) =>
        Effect.sync(() => {
          if (!stderr.isTerminal || (line === undefined && !shown)) return
          shown = line !== undefined
          // Carriage return, then erase to the end of the line.
          process.stderr.write(`\r\u001b[K${line ?? ""}`)
        }),
      line: (text) =>
        Effect.callback((resume) => {
          process.stdout.write(`${text}\n`, (error) => {
            // null and undefined both stand for none.
            resume(error instanceof Error ? Effect.fail(new OutputClosed({ cause: error })) : Effect.void)
          })
        })
    }
  }
})

/** Ways to set off a text; on an output without colour they leave it as it is. */
export interface Palette {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly accent: (text: string) => string
}

const style =
  (on: boolean, code: number) =>
  (text: string): string =>
    on && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text

/** The colours of an output. */
export const palette = ({ color }: Omit<Output, "columns">): Palette => ({
  bold: style(color, 1),
  dim: style(color, 2),
  good: style(color, 32),
  bad: style(color, 31),
  warn: style(color, 33),
  accent: style(color, 36)
})

/** Milliseconds before a progress line appears: what is quicker needs none. */
const APPEARS_AFTER_MILLIS = 500
const REDRAW_MILLIS = 100

/** The line as far as it fits a terminal, without colours where it does not: of one that wraps, only the end is replaced. */
export const fit = (line: string, columns: number): string => {
  const plain = stripVTControlCharacters(line)
  return plain.length < columns ? line : plain.slice(0, Math.max(0, columns - 1))
}

/** Shows a progress line on a terminal while an effect runs longer than half a second; a narrow one has its beginning. */
export const withProgress = <A, E, R>(
  line: (palette: Palette, columns: number) => string,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.stderr.isTerminal) return yield* self
    const colors = palette(screen.stderr)
    const draw = Effect.suspend(() => screen.status(fit(line(colors, screen.columns), screen.columns)))
    const drawing = Effect.sleep(APPEARS_AFTER_MILLIS).pipe(
      Effect.andThen(Effect.forever(Effect.andThen(draw, Effect.sleep(REDRAW_MILLIS)))),
      Effect.ensuring(screen.status(undefined))
    )
    return yield* Effect.raceFirst(self, drawing)
  })

/** A bar `[####----]` of so many characters between the brackets. */
export const bar = (share: number, cells: number): string => {
  const width = Math.max(0, cells)
  const full = Math.max(0, Math.min(width, Math.round(share * width)))
  return `[${"#".repeat(full)}${"-".repeat(width - full)}]`
}
