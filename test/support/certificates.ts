/** Certificates for tests, made by openssl in a temporary folder that is gone with the scope. */
import { Context, Effect, Layer, Redacted } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

/** A certificate and its key, as PEM text and as files. */
export interface Certificate {
  readonly cert: string
  readonly key: Redacted.Redacted
  readonly certPath: string
  readonly keyPath: string
}

/** What is in a certificate. */
export interface CertificateOptions {
  /** Its subject alternative names, as openssl writes them; default localhost and 127.0.0.1. */
  readonly names?: string
  /** The common name of its subject. */
  readonly commonName?: string
  /** Seconds since the epoch of its begin and end; default from yesterday until tomorrow. */
  readonly from?: number
  readonly until?: number
  /** Encrypts the key. */
  readonly passphrase?: string
}

/** Authorities and what they sign. */
export interface Certificates {
  /** The authority that the tests trust. */
  readonly ca: Certificate
  /** Signs a certificate with the authority. */
  readonly signed: (options?: CertificateOptions) => Effect.Effect<Certificate>
  /** A certificate that nobody signed but itself. */
  readonly selfSigned: (options?: CertificateOptions) => Effect.Effect<Certificate>
  /** Another authority, and one certificate of it. */
  readonly stranger: Effect.Effect<{ readonly ca: Certificate; readonly cert: Certificate }>
}

const DAY = 86_400

const time = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/[-:T]|\.\d+/g, "")

/** Makes an authority. Fails the test when there is no openssl. */
export const make = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => Fs.mkdtemp(Path.join(tmpdir(), "effect-rocketmq-tls-"))),
    (path) => Effect.promise(() => Fs.rm(path, { recursive: true, force: true }))
  )
  let count = 0
  const openssl = (...args: ReadonlyArray<string>) => Effect.promise(() => run("openssl", [...args], { cwd: folder }))

  const read = (name: string): Effect.Effect<Certificate> =>
    Effect.promise(async () => ({
      cert: await Fs.readFile(Path.join(folder, `${name}.pem`), "utf8"),
      key: Redacted.make(await Fs.readFile(Path.join(folder, `${name}.key`), "utf8")),
      certPath: Path.join(folder, `${name}.pem`),
      keyPath: Path.join(folder, `${name}.key`)
    }))

  const now = Math.floor(performance.timeOrigin / 1000)

  /** `openssl ca` is the one command of openssl 1.1 and 3 that takes both dates. */
  const issue = Effect.fnUntraced(function* (
    issuer: string | undefined,
    kind: "authority" | "leaf",
    options: CertificateOptions = {}
  ) {
    const name = `c${count++}`
    const path = (suffix: string) => Path.join(folder, `${name}.${suffix}`)
    const { passphrase } = options
    yield* openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", `${name}.raw`)
    yield* openssl(
      "pkcs8",
      "-topk8",
      "-in",
      `${name}.raw`,
      "-out",
      `${name}.key`,
      ...(passphrase === undefined ? ["-nocrypt"] : ["-v2", "aes-256-cbc", "-passout", `pass:${passphrase}`])
    )
    yield* Effect.promise(async () => {
      await Fs.mkdir(path("db"))
      await Fs.writeFile(Path.join(path("db"), "index.txt"), "")
      await Fs.writeFile(
        path("cnf"),
        `[ca]
default_ca = main
[main]
database = ${Path.join(path("db"), "index.txt")}
new_certs_dir = ${path("db")}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
string_mask = utf8only
utf8 = yes
distinguished_name = dn
prompt = no
[dn]
CN = ${options.commonName ?? (kind === "authority" ? `authority ${name}` : `leaf ${name}`)}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = ${options.names ?? "DNS:localhost, IP:127.0.0.1"}
`
      )
    })
    yield* openssl("req", "-new", "-config", `${name}.cnf`, "-key", `${name}.raw`, "-out", `${name}.csr`)
    const issuing =
      issuer === undefined
        ? ["-selfsign", "-keyfile", `${name}.raw`]
        : ["-cert", `${issuer}.pem`, "-keyfile", `${issuer}.raw`]
    const times = ["-startdate", time(options.from ?? now - DAY), "-enddate", time(options.until ?? now + DAY)]
    const files = ["-config", `${name}.cnf`, "-in", `${name}.csr`, "-out", `${name}.pem`]
    yield* openssl("ca", "-batch", "-notext", "-extensions", kind, ...issuing, ...times, ...files)
    return name
  })

  const authority = yield* issue(undefined, "authority")
  const certificates: Certificates = {
    ca: yield* read(authority),
    signed: (options) => Effect.flatMap(issue(authority, "leaf", options), read),
    selfSigned: (options) => Effect.flatMap(issue(undefined, "leaf", options), read),
    stranger: Effect.gen(function* () {
      const other = yield* issue(undefined, "authority")
      return { ca: yield* read(other), cert: yield* Effect.flatMap(issue(other, "leaf"), read) }
    })
  }
  return certificates
})

/** {@link Certificates} with one for the server and one, whose key opens with "pass", for a client. */
export class Certs extends Context.Service<
  Certs,
  Certificates & { readonly server: Certificate; readonly client: Certificate }
>()("effect-rocketmq/test/Certs") {
  /** Made once, and gone with the tests that share them. */
  static readonly layer = Layer.effect(
    Certs,
    Effect.gen(function* () {
      const certificates = yield* make
      return Certs.of({
        ...certificates,
        server: yield* certificates.signed(),
        client: yield* certificates.signed({ passphrase: "pass" })
      })
    })
  )
}
