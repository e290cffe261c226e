import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { Application } from "typedoc"

/**
 * Makes the reference of the API (`docs/reference`) and the report of its types (`report`) out of the types of a build, as in
 * `dist`; with `--check` only says where they differ from what is there. A change of the API shows in the report, a change of
 * its words in the reference.
 */

const root = path.join(import.meta.dirname, "../..")
const reference = path.join(root, "docs", "reference")
const report = path.join(import.meta.dirname, "report")
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** The entry points of package.json: how they are imported, and their types. */
const entries = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === "object")
  .map(([name, { types }]) => ({ name: path.posix.join(manifest.name, name), types: path.join(root, types) }))

const say = (text) => process.stdout.write(`${text}\n`)

/** One compiler for both, and so one table of options. */
const tsconfig = (folder) => {
  const file = path.join(folder, "tsconfig.json")
  const compilerOptions = {
    target: "ES2024",
    lib: ["ES2024", "ESNext.Disposable"],
    module: "NodeNext",
    types: ["node"],
    typeRoots: [path.join(root, "node_modules", "@types")],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    noEmit: true
  }
  fs.writeFileSync(file, JSON.stringify({ compilerOptions, files: entries.map(({ types }) => types) }))
  return file
}

/** The reference: a page for each entry point, and for each namespace in it. */
const makeReference = async (folder, config) => {
  const app = await Application.bootstrapWithPlugins({
    plugin: ["typedoc-plugin-markdown"],
    entryPoints: entries.map(({ types }) => types),
    tsconfig: config,
    readme: "none",
    name: manifest.name,
    includeVersion: false,
    disableSources: true,
    excludeExternals: true,
    excludeInternal: true,
    excludePrivate: true,
    skipErrorChecking: true,
    githubPages: false,
    logLevel: "Error",
    outputFileStrategy: "modules",
    hidePageHeader: true,
    hideBreadcrumbs: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
    classPropertiesFormat: "table",
    typeDeclarationFormat: "table",
    propertyMembersFormat: "table"
  })
  const project = await app.convert()
  if (project?.children?.length !== entries.length) throw new Error("TypeDoc read other modules than the entry points")
  for (const module of project.children) {
    // It names them by their folders.
    const name = module.name === "index" ? manifest.name : `${manifest.name}/${module.name}`
    if (!entries.some((entry) => entry.name === name)) throw new Error(`No entry point is ${name}`)
    module.name = name
  }
  await app.outputs.writeOutput({ name: "markdown", path: folder }, project)
  const index = path.join(folder, "README.md")
  const text = fs.readFileSync(index, "utf8")
  fs.writeFileSync(
    index,
    text.replace(
      /^# .*\n/,
      "# Reference\n\nEvery name that a program can import, with its type and its words, made from the types of the package.\n" +
        "Which of them to begin with, and how they go together, is in the [other pages](../../README.md).\n"
    )
  )
}

/** The report: the types of each entry point in one file, without their words. */
const makeReport = (folder, config, temporary) => {
  for (const { name, types } of entries) {
    const reportFileName = name.replaceAll("/", "-")
    const extractor = ExtractorConfig.prepare({
      configObject: {
        projectFolder: root,
        mainEntryPointFilePath: types,
        compiler: { tsconfigFilePath: config },
        newlineKind: "lf",
        apiReport: {
          enabled: true,
          reportFileName,
          reportFolder: folder,
          reportTempFolder: temporary,
          includeForgottenExports: true
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        messages: {
          extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
          tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
          compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } }
        }
      },
      packageJson: manifest,
      packageJsonFullPath: path.join(root, "package.json"),
      configObjectFullPath: undefined
    })
    const { errorCount } = Extractor.invoke(extractor, {
      localBuild: true,
      messageCallback: (message) => {
        message.handled = message.logLevel !== ExtractorLogLevel.Error
      }
    })
    if (errorCount > 0) throw new Error(`API Extractor could not read ${types}`)
  }
}

const filesIn = (folder) =>
  new Map(
    (fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true, withFileTypes: true }) : [])
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [path.relative(folder, file), fs.readFileSync(file, "utf8")])
  )

/** The files in which two folders differ, each with the first line that does. */
const difference = (before, after) => {
  const old = filesIn(before)
  const made = filesIn(after)
  return [...new Set([...old.keys(), ...made.keys()])].toSorted().flatMap((name) => {
    const [was, is] = [old.get(name), made.get(name)]
    if (was === is) return []
    if (was === undefined || is === undefined)
      return [`${path.join(before, name)}: ${was === undefined ? "missing" : "left over"}`]
    const lines = is.split("\n")
    const at = was.split("\n").findIndex((line, i) => line !== lines[i])
    return [`${path.join(before, name)}:${at + 1}: ${lines[at] ?? "ends here"}`]
  })
}

const temporary = fs.mkdtempSync(path.join(tmpdir(), "effect-rocketmq-reference-"))
try {
  const made = ["reference", "report", "temporary"].map((name) => path.join(temporary, name))
  for (const folder of made) fs.mkdirSync(folder)
  const [newReference, newReport, rest] = made
  const config = tsconfig(temporary)
  await makeReference(newReference, config)
  makeReport(newReport, config, rest)
  if (process.argv.includes("--check")) {
    const lines = [...difference(reference, newReference), ...difference(report, newReport)]
    for (const line of lines.slice(0, 40)) say(path.relative(root, line))
    if (lines.length > 0) {
      say("docs/reference or test/reference/report is not what the types say: `npm run docs:reference` writes both")
      process.exitCode = 1
    } else say("docs/reference and test/reference/report are what the types say")
  } else {
    for (const [folder, next] of [
      [reference, newReference],
      [report, newReport]
    ]) {
      fs.rmSync(folder, { recursive: true, force: true })
      fs.cpSync(next, folder, { recursive: true })
      say(`wrote ${path.relative(root, folder)}: ${filesIn(folder).size} files`)
    }
  }
} finally {
  fs.rmSync(temporary, { recursive: true, force: true })
}
