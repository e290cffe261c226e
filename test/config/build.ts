import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { build as bundle } from "vite"

/**
 * `npm run build`: makes `dist`, or another folder that is given. The types are those of each module; the code is one file
 * for each entry point and what they share, because Node takes longer to find and open two hundred small files than to
 * read them. No maps: they would name sources that the package does not have, of which bundlers and debuggers complain.
 */

const root = Path.join(import.meta.dirname, "../..")

/** The entry points of package.json, and the command. */
const entries = ["index", "testing/index", "promise/index", "protocol/index", "cli/bin"]

/**
 * The file that a module's code goes to: one for each folder of src, which import each other in one direction, so that a
 * program that uses one has its bundler leave the others away. The command loads its subcommands one by one.
 */
const roomOf = (id: string): string | null => /\/src\/(?!cli\/|promise\/)(\w+)\/(?!index\.ts)/.exec(id)?.[1] ?? null

/** Builds the package into a folder, which is emptied first. */
export const build = async (folder: string): Promise<void> => {
  Fs.rmSync(folder, { recursive: true, force: true })
  const tsc = Path.join(root, "node_modules", "typescript", "bin", "tsc")
  execFileSync(process.execPath, [tsc, "-p", Path.join(root, "test/config/tsconfig.build.json"), "--outDir", folder], {
    stdio: "inherit"
  })
  await bundle({
    configFile: false,
    root,
    logLevel: "warn",
    publicDir: false,
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: false,
      target: "node22",
      minify: false,
      sourcemap: false,
      rolldownOptions: {
        input: Object.fromEntries(entries.map((name) => [name, Path.join(root, "src", `${name}.ts`)])),
        external: /^(?:node:|effect$|effect\/|@effect\/|lz4-napi$)/,
        output: {
          entryFileNames: "[name].js",
          chunkFileNames: "shared/[name].js",
          codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: roomOf, debugName: "rooms" }] },
          // The code is read in stack traces and debuggers: as it was written, without its types.
          comments: true,
          minifyInternalExports: false
        }
      }
    }
  })
}

if (import.meta.main) await build(Path.resolve(process.argv[2] ?? Path.join(root, "dist")))
