/** Fetches the jars of one RocketMQ version with Maven and compiles the Java programs of this folder against them. */
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { alone, buildOnce, command, digest, here } from "./Builds.ts"
import type { RigError } from "./RigError.ts"

/** The RocketMQ versions the rig can start; each has a pom and a dependency set of its own, never mixed. */
export type RocketMQVersion = "5.5.0" | "4.9.7"

/** `java`, `javac` of JAVA_HOME, or of the path when JAVA_HOME is not set. */
export const javaTool = (name: "java" | "javac"): string => {
  const home = process.env["JAVA_HOME"]
  return home === undefined || home === "" ? name : Path.join(home, "bin", name)
}

/**
 * The class path of a version: its jars and the compiled programs. What is already there is used as it is (no Maven, no
 * network); the key is the text of the pom and of the programs, so an edit builds anew.
 */
export const classPath = (version: RocketMQVersion): Effect.Effect<string, RigError> =>
  Effect.gen(function* () {
    const target = Path.join(here, "target", version)
    yield* Effect.promise(() => Fs.mkdir(target, { recursive: true }))
    const pom = Path.join(here, `pom-${version}.xml`)
    const pomText = yield* Effect.promise(() => Fs.readFile(pom, "utf8"))
    const lib = yield* buildOnce(target, `lib-${digest(pomText)}`, (folder) => fetchJars(version, pom, folder))
    const jars = yield* Effect.promise(() => Fs.readdir(lib))
    const jarPath = jars
      .toSorted()
      .map((jar) => Path.join(lib, jar))
      .join(Path.delimiter)

    const java = Path.join(here, "java")
    const sources = (yield* Effect.promise(() => Fs.readdir(java)))
      .filter((name) => name.endsWith(".java"))
      .toSorted()
      .map((name) => Path.join(java, name))
    const texts = yield* Effect.promise(() => Promise.all(sources.map((source) => Fs.readFile(source, "utf8"))))
    const classes = yield* buildOnce(target, `classes-${digest(pomText, ...texts)}`, (folder) =>
      compile(version, sources, jarPath, folder)
    )
    return `${classes}${Path.delimiter}${jarPath}`
  }).pipe(alone)

const fetchJars = (version: RocketMQVersion, pom: string, folder: string) =>
  command(`fetch the jars of RocketMQ ${version}`, "mvn", Path.dirname(folder), [
    "-q",
    "-B",
    "-Dstyle.color=never",
    "-f",
    pom,
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    `-DoutputDirectory=${folder}`
  ])

const compile = (version: RocketMQVersion, sources: ReadonlyArray<string>, jarPath: string, folder: string) =>
  command(`compile the Java programs against RocketMQ ${version}`, javaTool("javac"), Path.dirname(folder), [
    "--release",
    "11",
    "-encoding",
    "UTF-8",
    "-proc:none",
    "-nowarn",
    "-cp",
    jarPath,
    "-d",
    folder,
    ...sources
  ])
