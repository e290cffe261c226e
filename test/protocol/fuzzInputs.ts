/** What the fuzzer gives to decoders: numbers from a seed, and bytes made from them. */
import { setField } from "../../src/protocol/ExtFields.ts"
import { MAX_FRAME_LENGTH } from "../../src/protocol/Frame.ts"
import { emptyBody, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"

/**
 * A small generator of numbers, so that a seed repeats a run. Its state has 128 bits: with 32, a run of fifty million
 * inputs would come round to where it began. Source: the public-domain "sfc32", its state filled by "splitmix32".
 */
export const generator = (seed: number) => {
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

/** What {@link generator} makes. */
export type Generator = ReturnType<typeof generator>

/** Numbers at the edges of what a field holds. */
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

/** Pieces of JSON that decoders stumble over. */
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

/** So many bytes. */
export const randomBytes = (random: Generator, length: number): Buffer => {
  const out = Buffer.alloc(length)
  for (let i = 0; i < length; i++) out[i] = random.below(256)
  return out
}

const splice = (bytes: Buffer, at: number, remove: number, insert: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])

/** Spoils bytes in one to six places. */
export const mutate = (random: Generator, original: Uint8Array): Buffer => {
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
export const reframe = (type: number, header: Uint8Array, body: Uint8Array): Buffer => {
  const out = Buffer.alloc(8)
  out.writeInt32BE(4 + header.length + body.length, 0)
  out.writeInt32BE((type << 24) | header.length, 4)
  return Buffer.concat([out, header, body])
}

const text = (random: Generator): string => random.pick(tokens).toString("utf8").repeat(random.below(4))

/** A made-up command, its names and values among the odd ones. */
export const randomCommand = (random: Generator): RemotingCommand => {
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

/** A value that a header of a known shape may have, or may not. */
const randomValue = (random: Generator): string => {
  switch (random.below(6)) {
    case 0:
      return String(random.below(1_000_000))
    case 1:
      return ""
    case 2:
      return text(random)
    case 3:
      return randomBytes(random, random.below(40)).toString("latin1")
    case 4:
      return `"},"flag":${random.below(3)},"language":"JAVA","opaque":${random.below(10)}`
    default:
      return "AC1100010000000000".slice(random.below(18))
  }
}

/**
 * Frames as a connection under load gets them: JSON headers as Java writes them, which differ in their numbers and values,
 * now and then in more, and from the third on now and then in a spoiled byte. A decoder learns what they have in common.
 */
export const lookAlikes = (random: Generator): ReadonlyArray<Buffer> => {
  const names = ["msgId", "queueId", "queueOffset", "7", "é", "TRACE_ON", "a b"].filter(() => random.below(2) === 0)
  let fixed = { code: random.below(3), flag: 1 + random.below(2), language: "JAVA", version: 513 }
  let remark = random.below(3) === 0 ? `r${text(random)}` : undefined
  return Array.from({ length: 3 + random.below(6) }, (_, index) => {
    if (random.below(6) === 0) fixed = { ...fixed, code: random.below(3), version: random.pick(interesting) }
    if (random.below(8) === 0) remark = randomValue(random)
    if (random.below(8) === 0) names.push(`n${index}`)
    const opaque = random.below(4) === 0 ? random.pick(interesting) : random.below(10 ** (1 + random.below(9)))
    const { code, flag, language, version } = fixed
    const extFields = Object.fromEntries(
      names.map((name) => [name, random.below(3) === 0 ? randomValue(random) : String(random.below(1_000))])
    )
    const serializeTypeCurrentRPC = "JSON"
    const fields = { code, extFields, flag, language, opaque, remark, serializeTypeCurrentRPC, version }
    const odd = random.below(20) === 0 ? random.pick(["0", "-", " ", "1e", "1"]) : ""
    const header = Buffer.from(JSON.stringify(fields).replace('"opaque":', `"opaque":${odd}`))
    const spoiled = index > 1 && random.below(5) === 0
    return reframe(0, spoiled ? mutate(random, header) : header, randomBytes(random, random.below(20)))
  })
}
