import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { spawnSync } from "node:child_process"
import { format } from "prettier"
import { javaTool } from "../rocketmq/Jars.ts"
import { CLIENT_CORE, pinned, SERVER_CORE } from "./Processes.ts"

/**
 * docs/performance.md: what stands between the marks of a part is measured and written here, the words around them are
 * kept.
 */

/** The parts of the page that are measured. */
export type Part = "machine" | "aims" | "modes" | "forms" | "broker" | "growth" | "start" | "check"

const root = Path.join(import.meta.dirname, "..", "..")
const file = Path.join(root, "docs", "performance.md")

const firstLine = (command: string, args: ReadonlyArray<string>, pattern: RegExp): string => {
  const { stderr, stdout } = spawnSync(command, args, { encoding: "utf8" })
  return pattern.exec(`${stdout}\n${stderr}`)?.[0] ?? `no ${Path.basename(command)}`
}

/** What it was measured with. */
export const machineText = (): string =>
  [
    `- ${Os.cpus()[0]?.model.trim() ?? "unknown CPU"}, ${Os.availableParallelism()} cores, ${(Os.totalmem() / 1024 ** 3).toFixed(0)} GiB; ${Os.type()} ${Os.release()} (${Os.arch()}).`,
    `- Node ${process.version}; ${firstLine(javaTool("java"), ["-version"], /^\S+ version "[^"]+"/m)}; ${firstLine("go", ["version"], /go\d\S*/)}.`,
    `- ${pinned ? `Clients run on core ${CLIENT_CORE}, the sink and the brokers on core ${SERVER_CORE} (\`taskset\`).` : "Cores are not pinned."}`
  ].join("\n")

/** How busy the machine was with other things, as far as it tells. */
export const loadText = (): string => `load average ${Os.loadavg()[0]?.toFixed(2) ?? "unknown"} before the run`

/** Puts parts into the text of a page, which has marks for each. */
export const fill = (page: string, parts: ReadonlyMap<Part, string>): string => {
  let text = page
  for (const [part, content] of parts) {
    const marks = new RegExp(`(<!-- bench:${part} -->\\n)[\\s\\S]*?(<!-- /bench:${part} -->)`)
    if (!marks.test(text)) throw new Error(`docs/performance.md has no marks for ${part}`)
    text = text.replace(marks, (_, open: string, close: string) => `${open}\n${content}\n\n${close}`)
  }
  return text
}

/** Writes parts into docs/performance.md. */
export const write = async (parts: ReadonlyMap<Part, string>): Promise<void> => {
  const page = fill(Fs.readFileSync(file, "utf8"), parts)
  const { prettier }: { readonly prettier: object } = JSON.parse(
    Fs.readFileSync(Path.join(root, "package.json"), "utf8")
  )
  Fs.writeFileSync(file, await format(page, { ...prettier, parser: "markdown" }))
}
