/** Names that a text of ours lists; the others it counts. */
const MAX_LISTED = 20

/** Names in a sentence or a line: `a, b, c`, and of many the first twenty and how many more there are. */
export const text = (names: ReadonlyArray<string>): string =>
  names.length <= MAX_LISTED
    ? names.join(", ")
    : `${names.slice(0, MAX_LISTED).join(", ")} and ${names.length - MAX_LISTED} more`

/** A line for each name, and of many for the first twenty, with how many more there are. */
export const lines = (names: ReadonlyArray<string>, line: (name: string) => string): ReadonlyArray<string> =>
  names.length <= MAX_LISTED
    ? names.map(line)
    : [...names.slice(0, MAX_LISTED).map(line), `and ${names.length - MAX_LISTED} more`]
