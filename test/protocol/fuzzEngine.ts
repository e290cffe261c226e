import { CompressionError, decompress } from "../../src/protocol/Compression.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { decodeFrame, encode, FrameError, makeFrameDecoder, MAX_FRAME_LENGTH } from "../../src/protocol/Frame.ts"
import * as Protocol from "../../src/protocol/index.ts"
import { parse } from "../../src/protocol/LenientJson.ts"
import { decodeAll, decodeBatch } from "../../src/protocol/MessageCodec.ts"
import { decode as decodeProperties } from "../../src/protocol/MessageProperties.ts"
import { emptyBody, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { corpusFrames } from "./corpus.ts"
import { generator, lookAlikes, mutate, randomBytes, randomCommand, reframe } from "./fuzzInputs.ts"
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
  JSON.stringify(
    commands.map(({ body, code, extFields, flag, language, opaque, remark, serializeType, version }) => [
      [code, flag, language, opaque, serializeType, version],
      remark === undefined ? [] : [remark],
      extFields === undefined ? [] : [Object.entries(extFields)],
      Buffer.from(body).toString("hex")
    ])
  )

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

  /** A stream of frames that look alike comes out as each of them does by itself. */
  const runAlike = (kind: string, alike: ReadonlyArray<Buffer>, stream: Uint8Array): string | undefined => {
    const expected: Array<RemotingCommand> = []
    let failed: FrameError | undefined
    for (const frame of alike) {
      const one = decodeFrame(frame.subarray(4))
      if (one instanceof FrameError) {
        failed = one
        break
      }
      expected.push(one)
    }
    const { commands, error } = makeFrameDecoder().push(stream)
    if (fingerprint(commands) !== fingerprint(expected) || error?.kind !== failed?.kind) {
      return "a frame is read differently behind others like it"
    }
    return runFrames(kind, stream)
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
    const choice = random.below(9)
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
    } else if (choice === 6) {
      kind = "look-alikes"
      const alike = lookAlikes(random)
      const stream = Buffer.concat(alike)
      input = stream
      run = () => runAlike(kind, alike, stream)
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
