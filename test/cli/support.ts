import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Console, Effect, Exit, Layer, Stdio, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { exitCodeOf, run } from "../../src/cli/main.ts"
import { Screen } from "../../src/cli/Screen.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { Wire } from "../../src/transport/Wire.ts"

/** What one call of the command line left behind. */
export interface Call {
  readonly exitCode: number
  /** The lines of standard output: data. */
  readonly out: ReadonlyArray<string>
  /** The lines of standard error: talk. */
  readonly talk: ReadonlyArray<string>
}

/** How a call differs from the usual one. */
export interface CallOptions {
  readonly env?: Readonly<Record<string, string>> | undefined
  /** What standard input has, as one chunk or as several. */
  readonly stdin?: string | ReadonlyArray<Uint8Array> | undefined
  readonly stdinIsTerminal?: boolean | undefined
  readonly color?: boolean | undefined
  /** Characters in a line of the terminal that both outputs are on; none by default. */
  readonly columns?: number | undefined
  /** The talk is on a terminal, whose line that the next one replaces is kept; undefined where it was taken away. */
  readonly terminal?: { readonly columns: number; readonly statuses: Array<string | undefined> } | undefined
}

const services = ({ color = false, columns, env = {}, stdin = "", stdinIsTerminal = false, terminal }: CallOptions) => {
  const plain = { isTerminal: columns !== undefined, color, columns }
  return Layer.mergeAll(
    NodeServices.layer,
    // After the services of the process, whose standard input it replaces.
    Stdio.layerTest({
      stdin: Stream.fromIterable(typeof stdin === "string" ? [new TextEncoder().encode(stdin)] : stdin),
      stdinIsTerminal: Effect.succeed(stdinIsTerminal)
    }),
    ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...env })),
    Layer.succeed(Screen, {
      stdout: plain,
      stderr: { ...plain, isTerminal: columns !== undefined || terminal !== undefined },
      columns: terminal?.columns ?? 80,
      status: (line) => Effect.sync(() => void terminal?.statuses.push(line)),
      line: (text) => Console.log(text)
    })
  )
}

/** Runs the command line in this process, on whichever wire the test has. */
export const cli = (args: ReadonlyArray<string>, options: CallOptions = {}): Effect.Effect<Call, never, Wire> =>
  Effect.gen(function* () {
    const console = yield* TestConsole.make
    const wire = yield* Wire
    const exit = yield* run(args).pipe(
      Effect.provide([services(options), Layer.succeed(Wire, wire)]),
      Effect.provideService(Console.Console, console),
      Effect.exit
    )
    return {
      exitCode: Exit.isSuccess(exit) ? 0 : exitCodeOf(causeOf(exit)),
      out: text(yield* console.logLines),
      talk: text(yield* console.errorLines)
    }
  })

const text = (lines: ReadonlyArray<unknown>) => lines.flatMap((line) => String(line).split("\n"))

const causeOf = (exit: Exit.Failure<unknown, unknown>): unknown => {
  const [reason] = exit.cause.reasons
  if (reason?._tag === "Fail") return reason.error
  throw reason?._tag === "Die" ? reason.defect : new Error("interrupted")
}

/** {@link cli} with `--namesrv` of the test's cluster. */
export const onCluster = (args: ReadonlyArray<string>, options?: CallOptions) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) => cli([...args, "--namesrv", namesrvAddr], options))
