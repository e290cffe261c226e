import { Schema } from "effect"
import { createRequire } from "node:module"

const packageJson = Schema.Struct({ version: Schema.String })

/** The version of this package. `package.json` lies two folders up, in a checkout as in an installed package. */
export const VERSION: string = Schema.decodeUnknownSync(packageJson)(
  createRequire(import.meta.url)("../../package.json")
).version
