import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Runtime } from "effect"
import { printable } from "../message/ForeignText.ts"
import { Wire } from "../transport/Wire.ts"

// Sockets come in with the first connection; --help needs none.
const lazyTcp = Effect.map(
  Effect.promise(() => import("../transport/TcpWire.ts")),
  (module) => module.layer
)

const tcp = <A, E, R>(use: (wire: Wire["Service"]) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(lazyTcp, (layer) => Effect.provide(Effect.flatMap(Wire, use), layer))

/** The wire over TCP, whose modules are loaded when it is first used. */
const wire: Layer.Layer<Wire> = Layer.succeed(Wire, {
  connect: (...args) => tcp((self) => self.connect(...args)),
  listen: (...args) => tcp((self) => self.listen(...args))
})

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/** Ends the process once what was written is out. */
const exitWith = (code: number): void => {
  process.exitCode = code
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
}

/**
 * Runs a program as the process. The first SIGINT or SIGTERM interrupts it, so that it can drain and release what it
 * holds, and the exit code is 130 or 143 then; the second ends the process at once. When the reader of standard output
 * goes away (`... | head`) the program is interrupted too and ends quietly with code 0. A defect is printed to standard
 * error, an expected failure only has its exit code.
 */
export const runMain = <E>(
  program: Effect.Effect<void, E, Wire | Layer.Success<typeof NodeServices.layer>>,
  exitCodeOf: (error: unknown) => number
): void => {
  const reported = Effect.tapCause(program, (cause) =>
    Cause.hasDies(cause) ? Console.error(Cause.pretty(cause).split("\n").map(printable).join("\n")) : Effect.void
  )
  const run = Runtime.makeRunMain(({ fiber }) => {
    let interrupted: number | undefined
    const interrupt = (code: number) => {
      interrupted = code
      fiber.interruptUnsafe(fiber.id)
    }
    const onSignal = (signal: keyof typeof SIGNALS) => {
      if (interrupted !== undefined) process.exit(SIGNALS[signal])
      interrupt(SIGNALS[signal])
    }
    const onOutputError = (error: NodeJS.ErrnoException) => {
      if (interrupted === undefined && error.code === "EPIPE") interrupt(0)
    }
    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
    process.stdout.on("error", onOutputError)
    process.stderr.on("error", onOutputError)
    fiber.addObserver((exit) => {
      if (interrupted !== undefined) return exitWith(interrupted)
      exitWith(Exit.isSuccess(exit) ? 0 : exitCodeOf(Cause.squash(exit.cause)))
    })
  })
  run(reported.pipe(Effect.provide([NodeServices.layer, wire])), { disableErrorReporting: true })
}
