import { nodeResolve } from "@rollup/plugin-node-resolve"
import * as esbuild from "esbuild-wasm"
import * as path from "node:path"
import { rollup } from "rollup"
import { build } from "vite"
import webpack from "webpack"

/**
 * Bundles programs for Node with nothing but what each bundler has to be told: `node bundle.mjs rollup out a.mjs b.mjs`.
 * Prints as JSON, for each program: its file, the modules that are in it or in what it loads at its start, and what of Node
 * it imports; and what the bundler warned of.
 */
const [bundler, outdir = "", ...files] = process.argv.slice(2)
const folder = process.cwd()
const nameOf = (file) => path.basename(file, path.extname(file))
const entries = Object.fromEntries(files.map((file) => [nameOf(file), path.resolve(file)]))
const relative = (id) =>
  path
    .relative(folder, id.replace(/[?\0].*$/s, ""))
    .split(path.sep)
    .join("/")

/** What an entry reaches without a dynamic import, over a table of chunks. */
const reach = (chunks, entry) => {
  const seen = new Set()
  const todo = [entry]
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    todo.push(...(chunks.get(file)?.imports ?? []))
  }
  return {
    modules: [...seen].flatMap((file) => chunks.get(file)?.modules ?? []),
    imports: [...seen].filter((file) => !chunks.has(file))
  }
}

/** What rollup and vite tell of the files that they wrote. */
const ofRollup = (output) => {
  const chunks = new Map(
    output
      .filter(({ type }) => type === "chunk")
      .map(({ fileName, imports, modules }) => [
        fileName,
        {
          imports,
          modules: Object.keys(modules)
            .filter((id) => modules[id].code !== null)
            .map(relative)
        }
      ])
  )
  return output
    .filter(({ isEntry }) => isEntry)
    .map(({ fileName, name }) => ({ name, file: path.join(outdir, fileName), ...reach(chunks, fileName) }))
}

const bundlers = {
  async esbuild() {
    const programs = []
    const warnings = []
    for (const [name, file] of Object.entries(entries)) {
      const outfile = path.join(outdir, `${name}.mjs`)
      const done = await esbuild.build({
        entryPoints: [file],
        bundle: true,
        platform: "node",
        format: "esm",
        outfile,
        metafile: true,
        logLevel: "silent"
      })
      const [output] = Object.values(done.metafile.outputs)
      programs.push({
        name,
        file: outfile,
        modules: Object.keys(output.inputs).filter((id) => output.inputs[id].bytesInOutput > 0),
        imports: output.imports.filter(({ kind }) => kind === "import-statement").map((one) => one.path)
      })
      warnings.push(...done.warnings.map(({ text }) => text))
    }
    return { programs, warnings }
  },

  async rollup() {
    const warnings = []
    const bundle = await rollup({
      input: entries,
      plugins: [nodeResolve()],
      onwarn: (one) => warnings.push(one.message)
    })
    const { output } = await bundle.write({ dir: outdir, format: "es", entryFileNames: "[name].mjs" })
    return { programs: ofRollup(output), warnings }
  },

  async vite() {
    const warnings = []
    const { output } = await build({
      configFile: false,
      publicDir: false,
      logLevel: "silent",
      ssr: { noExternal: true },
      build: {
        ssr: true,
        outDir: outdir,
        rolldownOptions: { input: entries, onwarn: (one) => warnings.push(one.message) }
      }
    })
    return { programs: ofRollup(output), warnings }
  },

  webpack: () =>
    new Promise((resolve, reject) => {
      webpack(
        {
          mode: "production",
          // To make it small takes minutes, and none of it is ours.
          optimization: { minimize: false },
          target: "node",
          entry: entries,
          output: { path: outdir, filename: "[name].cjs" }
        },
        (error, stats) => {
          if (error !== null) return reject(error)
          const { chunkGraph, entrypoints, errors } = stats.compilation
          if (errors.length > 0) return reject(new Error(errors.map(({ message }) => message).join("\n")))
          const programs = [...entrypoints].map(([name, { chunks }]) => {
            const modules = chunks
              .flatMap((chunk) => [...chunkGraph.getChunkModules(chunk)])
              .flatMap((module) => [...(module.modules ?? [module])])
            return {
              name,
              file: path.join(outdir, `${name}.cjs`),
              modules: modules.flatMap(({ resource }) => (resource === undefined ? [] : [relative(resource)])),
              imports: modules.flatMap(({ request, externalType }) => (externalType === undefined ? [] : [request]))
            }
          })
          resolve({ programs, warnings: stats.compilation.warnings.map(({ message }) => message) })
        }
      )
    })
}

process.stdout.write(JSON.stringify(await bundlers[bundler]()))
