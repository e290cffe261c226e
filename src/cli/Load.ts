import { Effect } from "effect"

/** Loads the program behind a command when it runs: --help and --completions need none of them. */
export const load = <M, A, E, R>(
  module: () => Promise<M>,
  run: (module: M) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.flatMap(Effect.promise(module), run)
