import * as Fs from "node:fs"
import * as Path from "node:path"

/** The project's folder. */
export const root = Path.join(import.meta.dirname, "../..")

const src = Path.join(root, "src")

/** The files below a folder whose name ends with `.ts`, as paths from the project's folder, in order. */
export const filesBelow = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => Path.relative(root, Path.join(entry.parentPath, entry.name)))
    .toSorted()

/** A file of src: its path there (`client/push/ReplyPush.ts`), its text, and what it imports. */
export interface Source {
  readonly file: string
  readonly text: string
  /** Every specifier as it is written, those of types included. */
  readonly imports: ReadonlyArray<string>
  /** The files of src among them. */
  readonly own: ReadonlyArray<string>
}

const importsOf = (text: string): ReadonlyArray<string> =>
  [
    ...text.matchAll(/^\s*(?:import|export)\b[^"'`;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm)
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? "")

/** Every file of src. */
export const sources: ReadonlyArray<Source> = filesBelow("src").map((path) => {
  const full = Path.join(root, path)
  const text = Fs.readFileSync(full, "utf8")
  const imports = importsOf(text)
  return {
    file: Path.relative(src, full),
    text,
    imports,
    own: imports
      .filter((target) => target.startsWith("."))
      .map((target) => Path.relative(src, Path.resolve(Path.dirname(full), target)))
  }
})

/**
 * The groups of files that import each other, directly or over others. Tarjan's algorithm: a file whose lowest reachable
 * number is its own closes a group.
 */
export const circles = (files: ReadonlyArray<Pick<Source, "file" | "own">>): ReadonlyArray<ReadonlyArray<string>> => {
  const targets = new Map(files.map(({ file, own }) => [file, own]))
  const number = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: Array<string> = []
  const found: Array<ReadonlyArray<string>> = []
  const visit = (file: string): number => {
    const mine = number.size
    number.set(file, mine)
    open.push(file)
    let low = mine
    for (const target of targets.get(file) ?? []) {
      if (!targets.has(target)) continue
      if (!number.has(target)) low = Math.min(low, visit(target))
      else if (open.includes(target)) low = Math.min(low, lowest.get(target) ?? number.get(target) ?? low)
    }
    lowest.set(file, low)
    if (low === mine) {
      const group = open.splice(open.indexOf(file))
      if (group.length > 1 || targets.get(file)?.includes(file) === true) found.push(group.toSorted())
    }
    return low
  }
  for (const { file } of files) if (!number.has(file)) visit(file)
  return found
}
