import { Console, Effect } from "effect"
import type { ChangedSetting } from "../../admin/Settings.ts"
import { CommandFailed, ExitCode, UsageError } from "../Failure.ts"
import { palette, Screen } from "../Screen.ts"
import { excerpt } from "../Text.ts"

/** Characters of a value that are shown. */
const SHOWN = 200

const shown = (value: string | undefined): string => (value === undefined ? "?" : `"${excerpt(value, SHOWN)}"`)

/** Fails when nothing was named, or it was not said that it is meant; then with what would change of each server. */
export const confirmed = (
  settings: Readonly<Record<string, string>>,
  yes: boolean,
  servers: ReadonlyArray<{ readonly server: string; readonly config: ReadonlyMap<string, string> }>
): Effect.Effect<void, UsageError> =>
  Effect.suspend(() => {
    if (yes) return Effect.void
    const changes = servers.flatMap(({ config, server }) =>
      Object.entries(settings).map(
        ([name, value]) => `${server}: ${name} ${shown(config.get(name))} -> ${shown(value)}`
      )
    )
    return Effect.fail(
      new UsageError({ problem: `That would change ${changes.join("; ")}.`, remedy: "Pass --yes if that is meant." })
    )
  })

/** Fails when nothing was named. */
export const named = (settings: Readonly<Record<string, string>>): Effect.Effect<void, UsageError> =>
  Object.keys(settings).length > 0
    ? Effect.void
    : Effect.fail(new UsageError({ problem: "No setting was named.", remedy: "Pass --set name=value." }))

/** Prints what became of the settings of a server; a value that it did not take makes the command fail. */
export const printChanges = Effect.fnUntraced(function* (server: string, changes: ReadonlyArray<ChangedSetting>) {
  const screen = yield* Screen
  const { bad, good } = palette(screen.stdout)
  for (const { after, before, name, taken } of changes) {
    yield* Console.log(
      taken
        ? `${good("ok")} ${server}: ${name} ${shown(before)} -> ${shown(after)}`
        : `${bad("kept")} ${server}: ${name} stays ${shown(after)}: the server could not use the value`
    )
  }
})

/** Fails, without a further word, when a server did not take a value. */
export const allTaken = (changes: ReadonlyArray<ChangedSetting>): Effect.Effect<void, CommandFailed> =>
  changes.every(({ taken }) => taken)
    ? Effect.void
    : Effect.fail(new CommandFailed({ exitCode: ExitCode.failed, summary: "a setting stays as it was" }))
