import { createHash } from "node:crypto"
import { javaHashCode } from "../../protocol/MessageCodec.ts"

/**
 * How other clients choose a queue by key, so that messages of one key stay in one queue while programs in several
 * languages send to a topic. Each function gives the index of one of `size` queues (at least 1), in the order in which
 * all clients list them: by broker name, then queue id.
 *
 * A text key is hashed as UTF-8, by `java` and `proxy` as UTF-16.
 */

/**
 * Whose choice to reproduce.
 *
 * - `java`: the Java client's `SelectMessageQueueByHash`, |hashCode % size|
 * - `go`: rocketmq-client-go's `NewHashQueueSelector`, 32-bit FNV-1a (as it is on 64-bit machines)
 * - `ali-ons`: ali-ons' `shardingKey`, the first 4 bytes of MD5. ali-ons hashes over the distinct queue ids, not over
 *   the queues, and sends to *any* queue when the id is 0; this library keeps those in queue 0.
 * - `siphash`: the gRPC clients in Java and Go, SipHash-2-4 as a signed 64-bit int. It chooses which proxy they
 *   talk to. (The gRPC client for Node reads the hash's bytes in the other order and chooses differently.)
 * - `proxy`: RocketMQ Proxy, which chooses anew what a gRPC client's message group means: jump consistent hash of
 *   `hashCode`. This is the queue in which messages of gRPC clients end up.
 */
export type KeyHash = "java" | "go" | "ali-ons" | "siphash" | "proxy"

/**
 * What a queue can be chosen by. With the hash `java` an integer number of 32 bits hashes as an `Integer`, a bigint (or a
 * larger integer) as a `Long`, and text as a `String`; all other hashes take the key's text.
 */
export type Key = string | number | bigint

const INT_MAX = 2_147_483_647

/** Java's `hashCode` of a `String`, `Integer` or `Long`; of the text for a number that is neither. */
export const javaHash = (key: Key): number => {
  if (typeof key === "string") return javaHashCode(key)
  if (typeof key === "number") {
    if (!Number.isInteger(key)) return javaHashCode(`${key}`)
    if (key >= -INT_MAX - 1 && key <= INT_MAX) return key | 0
  }
  const bits = BigInt.asUintN(64, BigInt(key))
  return Number(BigInt.asIntN(32, bits ^ (bits >> 32n)))
}

/** FNV-1a of 32 bits, unsigned. */
export const fnv1a = (text: string): number => {
  let hash = 0x811c_9dc5
  for (const byte of Buffer.from(text, "utf8")) hash = Math.imul(hash ^ byte, 0x0100_0193)
  return hash >>> 0
}

/** The first four bytes of the MD5, as an unsigned int. */
export const md5Prefix = (text: string): number => createHash("md5").update(text, "utf8").digest().readUInt32BE(0)

const rotateLeft = (value: bigint, bits: bigint): bigint =>
  BigInt.asUintN(64, (value << bits) | (value >> (64n - bits)))

/** SipHash-2-4 with the key 00 01 .. 0f, which all gRPC clients use, as a signed 64-bit int. */
export const sipHash24 = (text: string): bigint => {
  const bytes = Buffer.from(text, "utf8")
  const k0 = 0x0706_0504_0302_0100n
  const k1 = 0x0f0e_0d0c_0b0a_0908n
  let v0 = k0 ^ 0x736f_6d65_7073_6575n
  let v1 = k1 ^ 0x646f_7261_6e64_6f6dn
  let v2 = k0 ^ 0x6c79_6765_6e65_7261n
  let v3 = k1 ^ 0x7465_6462_7974_6573n
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = BigInt.asUintN(64, v0 + v1)
      v1 = rotateLeft(v1, 13n) ^ v0
      v0 = rotateLeft(v0, 32n)
      v2 = BigInt.asUintN(64, v2 + v3)
      v3 = rotateLeft(v3, 16n) ^ v2
      v0 = BigInt.asUintN(64, v0 + v3)
      v3 = rotateLeft(v3, 21n) ^ v0
      v2 = BigInt.asUintN(64, v2 + v1)
      v1 = rotateLeft(v1, 17n) ^ v2
      v2 = rotateLeft(v2, 32n)
    }
  }
  const compress = (word: bigint): void => {
    v3 ^= word
    rounds(2)
    v0 ^= word
  }
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) compress(bytes.readBigUInt64LE(at))
  // The last word: the bytes that are left over, and the length in its top byte.
  const last = Buffer.alloc(8)
  bytes.copy(last, 0, whole)
  last[7] = bytes.length & 0xff
  compress(last.readBigUInt64LE(0))
  v2 ^= 0xffn
  rounds(4)
  return BigInt.asIntN(64, v0 ^ v1 ^ v2 ^ v3)
}

/** Jump consistent hash, as Guava's `Hashing.consistentHash` has it. `input` is a signed int. */
export const consistentHash = (input: number, size: number): number => {
  let state = BigInt.asUintN(64, BigInt(input))
  let candidate = 0
  for (;;) {
    state = BigInt.asUintN(64, 2_862_933_555_777_941_757n * state + 1n)
    const chance = (Number(state >> 33n) + 1) / 0x8000_0000
    const next = Math.trunc((candidate + 1) / chance)
    if (next >= size) return candidate
    candidate = next
  }
}

const floorMod = (value: bigint, size: number): number => {
  const remainder = Number(value % BigInt(size))
  return remainder < 0 ? remainder + size : remainder
}

const indexes: Readonly<Record<KeyHash, (key: Key, size: number) => number>> = {
  java: (key, size) => Math.abs(javaHash(key) % size),
  go: (key, size) => fnv1a(`${key}`) % size,
  "ali-ons": (key, size) => md5Prefix(`${key}`) % size,
  siphash: (key, size) => floorMod(sipHash24(`${key}`), size),
  proxy: (key, size) => consistentHash(javaHashCode(`${key}`), size)
}

/** Which of `size` queues a client with this hash sends a key to: 0 up to `size` - 1. */
export const indexOf = (hash: KeyHash, key: Key, size: number): number => indexes[hash](key, size)
