import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as Path from "node:path"
import { misplaced, mutations } from "./mutations.ts"

/**
 * The simulation can fail: each mistake that is put into the client on purpose is found within 1,000 seeds, and the last
 * line of what is printed finds it again.
 */

const main = Path.join(import.meta.dirname, "main.ts")

interface Printed {
  readonly code: number
  readonly text: string
}

/** Runs `npm run simulate` in one process. */
const simulate = (args: ReadonlyArray<string>): Promise<Printed> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=@effect-rocketmq/source", main, ...args, "--processes", "1"],
      { env: { ...process.env, NO_COLOR: "1" } },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), text: `${stdout}${stderr}` })
    )
  })

const linesOf = ({ text }: Printed) => text.trimEnd().split("\n")

/** The checks that a failed run names: they stand at the beginning of a line. */
const checksOf = (printed: Printed) => new Set(linesOf(printed).map((line) => /^([\w-]+): /.exec(line)?.[1]))

/** The arguments of a command line as a shell would give them: it quotes nothing but the list of faults. */
const argumentsOf = (line: string) => {
  const command = "npm run simulate -- "
  assert.isTrue(line.startsWith(command), line)
  return line
    .slice(command.length)
    .split(" ")
    .map((word) => word.replace(/^"(.*)"$/, "$1"))
}

describe("npm run simulate", () => {
  it("has a place for every mistake", () => {
    assert.deepStrictEqual(misplaced(), [])
  })

  for (const { foundBy, name, scenario, what } of mutations) {
    it(`finds that ${what}`, { timeout: 300_000 }, async () => {
      const found = await simulate(["--seeds", "1000", "--mutation", name, "--scenario", scenario])
      assert.strictEqual(found.code, 1, found.text)
      const checks = checksOf(found)
      assert.isTrue(
        foundBy.some((check) => checks.has(check)),
        found.text
      )

      const command = linesOf(found).at(-1) ?? ""
      const again = await simulate(argumentsOf(command))
      assert.strictEqual(again.code, 1, again.text)
      assert.isTrue(
        [...checksOf(again)].some((check) => check !== undefined && checks.has(check)),
        again.text
      )
      // What it needs cannot be made less, so it prints the same command.
      assert.strictEqual(linesOf(again).at(-1), command)
    })
  }

  it("holds without a mistake, and says what it ran", { timeout: 300_000 }, async () => {
    const held = await simulate(["--seeds", "8", "--from", "100"])
    assert.strictEqual(held.code, 0, held.text)
    assert.match(held.text, /^8 seeds held: [\d.]+ hours of virtual time, \d+ faults, \d+ messages acknowledged/)
  })

  it("refuses what it cannot run", { timeout: 60_000 }, async () => {
    const wrong = [
      ["--seeds", "0"],
      ["--from=-1"],
      ["--faults", "x"],
      ["--seeds", "1", "--mutation", "no-such-mistake"],
      ["--scenario", "wrong-request"]
    ]
    for (const args of wrong) {
      const refused = await simulate(args)
      assert.strictEqual(refused.code, 1, refused.text)
      assert.match(refused.text, /must be a number from|there are (wrong-request|producers)/)
    }
  })
})
