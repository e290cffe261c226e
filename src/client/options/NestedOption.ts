import { Effect } from "effect"
import { type AnyTable, entriesOf } from "./ConfigNames.ts"
import { type Find, type Option, type Report, show } from "./Option.ts"
import type { Table } from "./OptionTable.ts"

/**
 * The option whose value is an object of options. Its table is given twice: once for what they come to, `C`, once for what
 * users give, `I`. `hint` says what is wrong with a key that is in no table; undefined where nothing more can be said.
 */
export const nested = <C extends object, I extends object>(
  table: Table<C>,
  given: AnyTable<I>,
  hint: (key: string) => string | undefined
): Option<Partial<C>, Partial<I>> => ({
  default: {},
  check: (value: unknown, report: Report) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      report(`must be an object, is ${show(value)}`)
      return undefined
    }
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(table, key)) report(hint(key) ?? "is no option", `.${key}`)
    }
    const config: Partial<C> = {}
    for (const key in table) {
      const part: unknown = Reflect.get(value, key)
      const checked =
        part === undefined ? undefined : table[key].check(part, (problem, at = "") => report(problem, `.${key}${at}`))
      if (checked !== undefined) config[key] = checked
    }
    return config
  },
  entries: entriesOf(given).map(({ entry, option }) => ({ ...entry, at: `.${option}` })),
  read: Effect.fnUntraced(function* (find: Find) {
    const values: { [K in keyof I]?: I[K] } = {}
    for (const key in given) {
      // An entry is called by its place in the whole.
      const inWhole: Find = (entry) => find({ ...entry, at: `.${key}${entry.at}` })
      const value = yield* given[key]?.read(inWhole) ?? Effect.succeed(undefined)
      if (value !== undefined) values[key] = value
    }
    return Object.keys(values).length === 0 ? undefined : values
  })
})
