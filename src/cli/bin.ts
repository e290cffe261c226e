#!/usr/bin/env node
import { exitCodeOf, run } from "./main.ts"
import { runMain } from "./RunMain.ts"

runMain(run(process.argv.slice(2)), exitCodeOf)
