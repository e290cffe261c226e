import { Layer, References } from "effect"
import { Effect } from "effect"
import { demo } from "./DemoRun.ts"
import { exitCodeOf } from "../main.ts"
import { runMain } from "../RunMain.ts"

// What the client logs would only get between the lines: the demo tells itself what happens.
runMain(demo().pipe(Effect.provide(Layer.succeed(References.MinimumLogLevel, "None"))), exitCodeOf)
