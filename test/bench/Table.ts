/** Numbers and tables of the page. */

/** The middle of the numbers; not a number when there are none. */
export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** The least of the numbers; not a number when there are none. */
export const least = (numbers: ReadonlyArray<number>): number =>
  numbers.length === 0 ? Number.NaN : Math.min(...numbers)

/** A number as text; nothing for what was not measured. */
export const cell = (value: number | undefined, digits: number): string =>
  value === undefined || !Number.isFinite(value) ? "" : value.toFixed(digits)

/** "least to most". */
export const spread = (numbers: ReadonlyArray<number>, digits = 0): string =>
  numbers.length === 0 ? "" : `${cell(Math.min(...numbers), digits)} to ${cell(Math.max(...numbers), digits)}`

/** A table whose first column is text and whose others are numbers; short rows are filled up. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map((_, index) => (index === 0 ? "---" : "---:")), ...rows]
    .map(
      (row) =>
        `| ${head.map((_, index) => (row[index] ?? "").replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`
    )
    .join("\n")
