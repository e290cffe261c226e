import { CompressionError, decompress } from "../../src/protocol/Compression.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { setField } from "../../src/protocol/ExtFields.ts"
import { FrameError, makeFrameDecoder, MAX_FRAME_LENGTH } from "../../src/protocol/Frame.ts"
import * as Protocol from "../../src/protocol/index.ts"
import { parse } from "../../src/protocol/LenientJson.ts"
import { decodeAll, decodeBatch } from "../../src/protocol/MessageCodec.ts"
import { decode as decodeProperties } from "../../src/protocol/MessageProperties.ts"
import { emptyBody, encode, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { corpusFrames } from "./corpus.ts"
import { golden, goldenBytes, goldenNames } from "./goldenFrames.ts"

/** What a run of the fuzzer found. */
export interface FuzzReport {
  readonly seed: number
  readonly inputs: number
  /** How often each outcome came, by kind of input. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Inputs that broke a promise: an exception, a changed value, too much time. */
  readonly failures: ReadonlyArray<{
    readonly index: number
    readonly kind: string
    readonly reason: string
    readonly hex: string
  }>
  /** The slowest input in milliseconds. */
  readonly slowestMillis: number
}

/**
 * A small generator of numbers, so that a seed repeats a run. Its state has 128 bits: with 32, a run of fifty million
 * inputs would come round to where it began. Source: the public-domain "sfc32", its state filled by "splitmix32".
 */
const generator = (seed: number) => {
  let fill = seed | 0
  const word = (): number => {
    fill = (fill + 0x9e3779b9) | 0
    let t = Math.imul(fill ^ (fill >>> 16), 0x21f0aaad)
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97)
    return (t ^ (t >>> 15)) | 0
  }
  let a = word()
  let b = word()
  let c = word()
  let d = 1
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) next()
  return {
    /** 0 up to below `limit`. */
    below: (limit: number): number => next() % limit,
    pick: <A>(items: ReadonlyArray<A>): A => {
      const item = items[next() % items.length]
      if (item === undefined) throw new Error("nothing to pick from")
      return item
    },
    int32: (): number => next() | 0,
    /** Remembers where it is; what it returns goes back there. */
    mark: (): (() => void) => {
      const [a0, b0, c0, d0] = [a, b, c, d]
      return () => {
        a = a0
        b = b0
        c = c0
        d = d0
      }
    }
  }
}

type Generator = ReturnType<typeof generator>

const interesting = [
  0,
  1,
  -1,
  2,
  4,
  127,
  128,
  255,
  32_767,
  32_768,
  65_535,
  2_147_483_647,
  -2_147_483_648,
  0x01000000,
  MAX_FRAME_LENGTH
]

const tokens = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\\",
  "\\u",
  "null",
  "true",
  "-1",
  "1e999",
  "99999999999999999999",
  '"__proto__":',
  '{"a":1}:',
  "\u0000",
  "\u0001",
  "é",
  '"code":',
  '"opaque":null,',
  '"extFields":{'
].map((token) => Buffer.from(token))

const randomBytes = (random: Generator, length: number): Buffer => {
  const out = Buffer.alloc(length)
  for (let i = 0; i < length; i++) out[i] = random.below(256)
  return out
}

const splice = (bytes: Buffer, at: number, remove: number, insert: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])

/** Spoils bytes in one to six places. */
const mutate = (random: Generator, original: Uint8Array): Buffer => {
  let bytes: Buffer = Buffer.from(original)
  for (let count = 1 + random.below(6); count > 0; count--) {
    const at = random.below(bytes.length + 1)
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = random.below(256)
        break
      case 2:
        if (at + 4 <= bytes.length) bytes.writeInt32BE(random.pick(interesting), at)
        break
      case 3:
        bytes = splice(bytes, at, random.below(32), emptyBody)
        break
      case 4:
        bytes = splice(bytes, at, 0, random.pick(tokens))
        break
      case 5:
        bytes = splice(bytes, at, 0, bytes.subarray(at, at + random.below(64)))
        break
      default:
        bytes = Buffer.from(bytes.subarray(0, random.below(bytes.length + 1)))
    }
  }
  return bytes
}

/** Puts the length fields right, so that what is inside gets read. */
const reframe = (type: number, header: Uint8Array, body: Uint8Array): Buffer => {
  const out = Buffer.alloc(8)
  out.writeInt32BE(4 + header.length + body.length, 0)
  out.writeInt32BE((type << 24) | header.length, 4)
  return Buffer.concat([out, header, body])
}

const text = (random: Generator): string => random.pick(tokens).toString("utf8").repeat(random.below(4))

const randomCommand = (random: Generator): RemotingCommand => {
  const extFields: Record<string, string> = {}
  for (let count = random.below(5); count > 0; count--) {
    setField(
      extFields,
      random.pick(["__proto__", "constructor", "topic", "queueId", "a", "7", text(random)]),
      text(random)
    )
  }
  const body = randomBytes(random, random.below(100))
  return {
    code: random.int32() >> random.below(32),
    language: random.pick(["JAVA", "GO", "OTHER"]),
    version: random.int32() >> 16,
    opaque: random.int32(),
    flag: random.below(4),
    remark: random.below(2) === 0 ? undefined : `r${text(random)}`,
    extFields: random.below(4) === 0 ? undefined : { ...extFields, z: text(random) },
    body: body.length === 0 ? emptyBody : body,
    serializeType: random.below(2) === 0 ? "JSON" : "ROCKETMQ"
  }
}

type Decode = (cmd: RemotingCommand) => unknown

/** Every decode function of every request and push that the library knows. */
const decoders: ReadonlyArray<Decode> = Object.values(Protocol).flatMap((module): ReadonlyArray<Decode> => {
  if (typeof module !== "object") return []
  const out: Array<Decode> = []
  if ("decodeRequest" in module) out.push(module.decodeRequest)
  if ("decodeResponse" in module) out.push(module.decodeResponse)
  if ("decodeListResponse" in module) out.push(module.decodeListResponse)
  return out
})

/** Text by which two commands are compared; bytes as hex. */
const fingerprint = (commands: ReadonlyArray<RemotingCommand>): string =>
  JSON.stringify(commands.map((cmd) => [{ ...cmd, body: undefined }, Buffer.from(cmd.body).toString("hex")]))

/** Milliseconds of processor time that this process has had. */
const userMillis = (): number => process.cpuUsage().user / 1000

/** The stack of what a run throws, when stacks were off in the run that failed. */
const stackOf = (run: () => unknown, first: unknown): string => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = Math.max(limit, 10)
  try {
    run()
    return `${String(first)}, and not a second time`
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** What is spoiled: what real peers sent, and what decoders may get wrong already. Read once. */
let seedFrames: ReadonlyArray<Uint8Array> | undefined
const seeds = (): ReadonlyArray<Uint8Array> =>
  (seedFrames ??= [...goldenNames.map((name) => goldenBytes(golden(name))), ...corpusFrames()])

/** Runs the decoders over `inputs` inputs made from `seed`. Nothing here may throw, hang or change a value. */
export const fuzz = (options: { readonly inputs: number; readonly seed: number }): FuzzReport => {
  const random = generator(options.seed)
  const frames = seeds()
  const outcomes = new Map<string, number>()
  const failures: Array<FuzzReport["failures"][number]> = []
  let slowestMillis = 0
  let mark = 0

  const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const outcomeOf = (kind: string, result: unknown): void => {
    if (result instanceof FrameError) count(`${kind}: FrameError ${result.kind}`)
    else if (result instanceof DecodeError) count(`${kind}: DecodeError`)
    else if (result instanceof CompressionError) count(`${kind}: CompressionError ${result.kind}`)
    else count(`${kind}: value`)
  }

  /** A stream, whole and cut up; what comes out is given to two of the decoders of requests. */
  const runFrames = (kind: string, bytes: Uint8Array): string | undefined => {
    const whole = makeFrameDecoder()
    const { commands, error } = whole.push(bytes)
    const cut = makeFrameDecoder()
    const cutCommands: Array<RemotingCommand> = []
    let cutError: FrameError | undefined
    for (let at = 0; at < bytes.length && cutError === undefined;) {
      const size = 1 + random.below(random.below(8) === 0 ? 3 : bytes.length)
      const result = cut.push(bytes.subarray(at, at + size))
      cutCommands.push(...result.commands)
      cutError = result.error
      at += size
    }
    if (whole.pending > bytes.length || whole.pending > MAX_FRAME_LENGTH) return "it keeps more than it was given"
    if (fingerprint(commands) !== fingerprint(cutCommands) || error?.kind !== cutError?.kind)
      return "cuts change the result"
    if (error !== undefined) outcomeOf(kind, error)
    else if (commands.length === 0) count(`${kind}: incomplete`)
    for (const cmd of commands) {
      count(`${kind}: frame`)
      const again = makeFrameDecoder().push(encode({ ...cmd, serializeType: "JSON" })).commands
      if (fingerprint(again) !== fingerprint([{ ...cmd, serializeType: "JSON" }])) return "encoding it again changes it"
      for (let i = 0; i < 2; i++) outcomeOf(`${kind}, request or answer`, random.pick(decoders)(cmd))
    }
    return undefined
  }

  const runBytes = (kind: string, bytes: Uint8Array): undefined => {
    switch (random.below(5)) {
      case 0:
        outcomeOf(`${kind}, JSON`, parse(bytes))
        break
      case 1:
        outcomeOf(`${kind}, messages`, decodeAll(bytes).error)
        break
      case 2:
        outcomeOf(`${kind}, batch`, decodeBatch(bytes))
        break
      case 3:
        outcomeOf(`${kind}, properties`, decodeProperties(Buffer.from(bytes).toString("latin1")))
        break
      default:
        outcomeOf(`${kind}, packed`, decompress(bytes, random.below(2048), { maxOutputLength: 65_536 }))
    }
    return undefined
  }

  const runCommand = (kind: string, cmd: RemotingCommand): string | undefined => {
    const [back] = makeFrameDecoder().push(encode(cmd)).commands
    if (back === undefined) return "it cannot be read again"
    const binary = back.serializeType === "ROCKETMQ"
    if (cmd.serializeType === "JSON" && binary) return "it became binary"
    count(`${kind}: ${back.serializeType}`)
    return fingerprint([{ ...back, serializeType: cmd.serializeType }]) === fingerprint([cmd])
      ? undefined
      : "it changed"
  }

  for (let index = 0; index < options.inputs; index++) {
    if (index % 1000 === 0) mark = userMillis()
    const source = random.pick(frames)
    const headerLength = Buffer.from(source).readInt32BE(4) & 0xffffff
    const header = source.subarray(8, 8 + headerLength)
    const body = source.subarray(8 + headerLength)
    const choice = random.below(8)
    let kind: string
    let input: Uint8Array = emptyBody
    let run: () => string | undefined
    if (choice === 0) {
      kind = "random"
      const bytes = randomBytes(random, random.below(300))
      // Half of them with a first byte that a length can have, or the first loop would see errors only.
      if (random.below(2) === 0) bytes.fill(0, 0, Math.min(3, bytes.length))
      input = bytes
      run = random.below(2) === 0 ? () => runFrames(kind, bytes) : () => runBytes(kind, bytes)
    } else if (choice === 1) {
      kind = "structured"
      const cmd = randomCommand(random)
      input = encode(cmd)
      run = () => runCommand(kind, cmd)
    } else if (choice === 2) {
      kind = "mutated stream"
      input = mutate(random, Buffer.concat([source, random.pick(frames)]))
      run = () => runFrames(kind, input)
    } else if (choice <= 4) {
      kind = "mutated header"
      input = reframe(source[4] ?? 0, mutate(random, header), body)
      run = () => runFrames(kind, input)
    } else if (choice === 5) {
      kind = "mutated body of a frame"
      input = reframe(source[4] ?? 0, header, mutate(random, body))
      run = () => runFrames(kind, input)
    } else {
      kind = "mutated body"
      input = mutate(random, body)
      run = () => runBytes(kind, input)
    }
    const rewind = random.mark()
    const start = performance.now()
    let reason: string | undefined
    try {
      reason = run()
    } catch (error) {
      rewind()
      reason = `it threw ${stackOf(run, error)}`
    }
    const millis = performance.now() - start
    slowestMillis = Math.max(slowestMillis, millis)
    // No input is above some KiB, so seconds mean worse than linear time, if this process had them and not another one.
    if (millis > 5000 && userMillis() - mark > 5000) reason ??= `it took ${Math.round(millis)} ms`
    if (reason !== undefined) failures.push({ index, kind, reason, hex: Buffer.from(input).toString("hex") })
  }
  return { seed: options.seed, inputs: options.inputs, outcomes, failures, slowestMillis }
}
