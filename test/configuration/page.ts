import * as Fs from "node:fs"
import { page, pageOf } from "./pageText.ts"

/** `npm run docs:options`: writes the tables of docs/configuration.md. */

Fs.writeFileSync(page, await pageOf(Fs.readFileSync(page, "utf8")))
