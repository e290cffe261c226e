import { ByteSize, Effect, FileSystem, Option, PlatformError } from "effect"

/** What lies on a disk, by path. */
export type Files = Map<string, { bytes: Uint8Array; flushed: boolean; id: bigint }>

const systemError = (tag: "NotFound" | "Unknown", path: string) =>
  PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "any", pathOrDescriptor: path })
const infoOf = ({ bytes, id }: { bytes: Uint8Array; id: bigint }): FileSystem.File.Info => ({
  type: "File",
  mtime: Option.none(),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: BigInt(1),
  ino: Option.some(id),
  mode: 0,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: ByteSize.bytes(bytes.length),
  blksize: Option.none(),
  blocks: Option.none()
})

/**
 * A disk in memory that dies with its machine after so many steps; a step is a call, or a half of the bytes of a write. Of a
 * file that was not flushed the second half is lost then.
 */
export const disk = (files: Files, steps: number) => {
  let left = steps
  let ids = BigInt(files.size)
  const step = <A>(path: string, work: () => A | undefined) =>
    Effect.suspend(() => {
      if (left-- <= 0) return Effect.never
      const done = work()
      return done === undefined ? Effect.fail(systemError("NotFound", path)) : Effect.succeed(done)
    })
  const fs = FileSystem.makeNoop({
    makeDirectory: (path) => step(path, () => null).pipe(Effect.asVoid),
    stat: (path) => step(path, () => files.get(path)).pipe(Effect.map(infoOf)),
    readFile: (path) => step(path, () => files.get(path)?.bytes),
    rename: (from, to) =>
      step(from, () => {
        const file = files.get(from)
        if (file === undefined) return undefined
        files.delete(from)
        return files.set(to, file)
      }).pipe(Effect.asVoid),
    open: (path) =>
      Effect.sync(() => {
        const file = { bytes: new Uint8Array(), flushed: false, id: ++ids }
        if (path.endsWith(".tmp")) files.set(path, file)
        const unused = Effect.die("not needed")
        return {
          [FileSystem.FileTypeId]: FileSystem.FileTypeId,
          stat: step(path, () => infoOf(file)),
          sync: step(path, () => (file.flushed = true)).pipe(Effect.asVoid),
          writeAll: (bytes: Uint8Array) =>
            Effect.forEach(
              [bytes.slice(0, bytes.length / 2), bytes],
              (part) => step(path, () => (file.bytes = new Uint8Array(part))),
              {
                discard: true
              }
            ),
          seek: () => unused,
          read: () => unused,
          readAlloc: () => unused,
          truncate: () => unused,
          write: () => unused
        } satisfies FileSystem.File
      })
  })
  return {
    fs,
    died: () => left <= 0,
    crash: () => {
      for (const file of files.values()) if (!file.flushed) file.bytes = file.bytes.slice(0, file.bytes.length / 2)
    }
  }
}
