import { Effect } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { UnknownSetting } from "./AdminError.ts"

/** A setting of a server that was to be changed. */
export interface ChangedSetting {
  /** Its name. */
  readonly name: string
  /** What it was. */
  readonly before: string
  /** What the server says now; what it was, where it could not read the value that it was given. */
  readonly after: string
  /** Whether the server has the value that it was given. */
  readonly taken: boolean
}

/** How many like names an error gives. */
const MAX_SIMILAR = 8

/** Fails when the server has no setting of a name: it would say yes and do nothing. */
export const known = (
  server: string,
  settings: ReadonlyMap<string, string>,
  wanted: Readonly<Record<string, string>>
): Effect.Effect<void, UnknownSetting> =>
  Effect.suspend(() => {
    const names = Object.keys(wanted).filter((name) => !settings.has(name))
    if (names.length === 0) return Effect.void
    const similar = [...settings.keys()].filter((one) =>
      names.some((name) => one.toLowerCase().includes(name.toLowerCase()))
    )
    return Effect.fail(
      new UnknownSetting({
        server,
        names: names.map((name) => ForeignText.clean(name)),
        similar: similar
          .toSorted()
          .slice(0, MAX_SIMILAR)
          .map((name) => ForeignText.clean(name))
      })
    )
  })

/** What became of the settings that were to be changed. */
export const changesOf = (
  wanted: Readonly<Record<string, string>>,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>
): ReadonlyArray<ChangedSetting> =>
  Object.entries(wanted).map(([name, value]) => {
    const [was, is] = [before.get(name) ?? "", after.get(name) ?? ""]
    return { name, before: was, after: is, taken: is === value || is !== was }
  })
