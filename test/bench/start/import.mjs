// How long it takes to import the module in the first argument, and what it imports.
import { pathToFileURL } from "node:url"

const url = pathToFileURL(process.argv[2] ?? "").href
const begin = performance.now()
await import(url)
process.stdout.write(`${JSON.stringify({ importMillis: performance.now() - begin })}\n`)
