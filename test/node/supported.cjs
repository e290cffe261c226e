"use strict"
/**
 * Stands first in every npm script, and must itself run on any Node: ends with one line that says what to do where the
 * script behind it would end in a stack. The scripts run on the Node that `npm ci` brings for this system, or on that of the
 * machine where there is none.
 */
const fs = require("fs")
const path = require("path")

/** The least Node of `engines` in package.json, `>=22.19`, as two numbers. */
const least = require("../../package.json").engines.node.match(/\d+/g).map(Number)
const own = process.versions.node.split(".").map(Number)

/**
 * The systems that `npm ci` brings a Node for, as `linux-x64`: one, because npm 10 takes the command of a package away
 * again when it leaves out another system's package with a command of the same name.
 */
const systems = Object.keys(require("./package.json").optionalDependencies).map((name) =>
  name.replace(/^node-(bin-)?/, "").replace(/^win-/, "win32-")
)

/** What is wrong, and what to do; nothing where all is well. */
function problem() {
  if (own[0] < least[0] || (own[0] === least[0] && own[1] < least[1])) {
    const system = `${process.platform}-${process.arch}`
    const what = `This needs Node ${least.join(".")} or newer and ran on ${process.versions.node}:`
    return systems.includes(system)
      ? `${what} run \`npm ci\`, without --omit=optional, and the script by \`npm run\`.`
      : `${what} install one by hand, as \`npm ci\` has none for ${system}.`
  }
  if (!fs.existsSync(path.join(__dirname, "..", "..", "node_modules", "effect"))) {
    return "The dependencies are not installed: run `npm ci` first."
  }
  return undefined
}

const found = problem()
if (found !== undefined) {
  process.stderr.write(`${found}\n`)
  process.exitCode = 1
}
