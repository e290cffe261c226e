import { Effect, Redacted } from "effect"
import { X509Certificate } from "node:crypto"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import type { TlsOptions, TlsReason, TlsServerOptions } from "./Tls.ts"

const reasons: Readonly<Record<string, TlsReason>> = {
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not-yet-valid",
  DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "untrusted",
  CERT_SIGNATURE_FAILURE: "untrusted",
  CERT_UNTRUSTED: "untrusted",
  CERT_REJECTED: "untrusted",
  CERT_REVOKED: "untrusted",
  CERT_CHAIN_TOO_LONG: "untrusted",
  PATH_LENGTH_EXCEEDED: "untrusted",
  INVALID_CA: "untrusted",
  INVALID_PURPOSE: "untrusted",
  HOSTNAME_MISMATCH: "wrong-host",
  ERR_TLS_CERT_ALTNAME_INVALID: "wrong-host",
  ERR_TLS_CERT_ALTNAME_FORMAT: "wrong-host",
  ERR_SSL_WRONG_VERSION_NUMBER: "plain-server",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "plain-server",
  ERR_SSL_HTTP_REQUEST: "plain-server",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "protocol",
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: "protocol"
}

/** What a server says before it hangs up. Versions of OpenSSL put different words in front of it. */
const alerts: Readonly<Record<string, TlsReason>> = {
  CERTIFICATE_REQUIRED: "client-cert",
  UNKNOWN_CA: "client-cert",
  ACCESS_DENIED: "client-cert",
  BAD_CERTIFICATE: "client-cert",
  UNSUPPORTED_CERTIFICATE: "client-cert",
  CERTIFICATE_REVOKED: "client-cert",
  CERTIFICATE_EXPIRED: "client-cert",
  CERTIFICATE_UNKNOWN: "client-cert",
  HANDSHAKE_FAILURE: "protocol",
  PROTOCOL_VERSION: "protocol",
  INSUFFICIENT_SECURITY: "protocol"
}

/** The reason that an error of Node's TLS stands for; undefined when it is no error of TLS. */
export const reasonOf = (cause: unknown): TlsReason | undefined => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  if (typeof code !== "string") return undefined
  const alert = /^ERR_SSL_[A-Z0-9/]+_ALERT_(\w+)$/.exec(code)?.[1]
  return (
    (alert === undefined ? reasons[code] : alerts[alert]) ?? (/^ERR_(?:SSL|TLS|OSSL)_/.test(code) ? "other" : undefined)
  )
}

/**
 * The reason for which a handshake ended. A server without TLS closes the connection over what it takes for a frame of
 * some 350 MB, so an end before its first byte means that.
 */
export const handshakeReason = (cause: unknown, socket: Net.Socket): TlsReason =>
  reasonOf(cause) ?? (socket.bytesRead === 0 ? "plain-server" : "other")

const textOf = (secret: Redacted.Redacted | undefined): string | undefined =>
  secret === undefined ? undefined : Redacted.value(secret)

const pem = (text: string | ReadonlyArray<string> | undefined): string | Array<string> | undefined =>
  text === undefined || typeof text === "string" ? text : [...text]

const contexts = new WeakMap<TlsOptions, NodeTls.SecureContext>()

/** The certificates and keys of a client, read once per options value. Throws when one of them cannot be used. */
export const clientContext = (options: TlsOptions): NodeTls.SecureContext => {
  const known = contexts.get(options)
  if (known !== undefined) return known
  const context = NodeTls.createSecureContext({
    minVersion: "TLSv1.2",
    ca: pem(options.ca),
    cert: options.cert,
    key: textOf(options.key),
    passphrase: textOf(options.passphrase)
  })
  contexts.set(options, context)
  return context
}

/** Throws unless the text begins with a certificate: OpenSSL takes any other text for none, and would trust nobody. */
const readable = (text: string): X509Certificate => new X509Certificate(text)

/** What is wrong with a client's TLS options, in words that hold none of them; undefined when they can be used. */
export const problemOf = (options: TlsOptions): string | undefined => {
  if ((options.cert === undefined) !== (options.key === undefined)) return "cert and key belong together"
  if (options.servername !== undefined && options.servername.trim() === "") return "servername is blank"
  try {
    for (const text of [options.ca ?? []].flat()) readable(text)
    clientContext(options)
    return undefined
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "no reason given"
    return `ca, cert, key or passphrase cannot be used (${code})`
  }
}

/** Dials and begins the handshake; `secureConnect` says that the server's certificate was found good. */
export const connect = (address: Net.TcpNetConnectOpts, options: TlsOptions): NodeTls.TLSSocket => {
  const { host = "localhost" } = address
  const servername = options.servername ?? (Net.isIP(host) === 0 ? host : undefined)
  return NodeTls.connect({
    ...address,
    secureContext: clientContext(options),
    // Node takes it for the name in the certificate too; an address may stand in one but cannot be asked for.
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized: options.insecure !== true
  })
}

/** How long the server may take, after the handshake as the client sees it, to say that it accepts the client. */
const ACCEPTED_MILLIS = 200

/**
 * Waits until the server has accepted the client, not at all where that is known. In TLS 1.3 the client is done before
 * the server has looked at its certificate: a refusal comes after the client's first request, which is then lost
 * without a reason. The session ticket, which servers send once they accept the client, says so; a server that sends
 * none is not waited for.
 */
export const accepted = (socket: NodeTls.TLSSocket): Effect.Effect<void> => {
  if (socket.getProtocol() !== "TLSv1.3") return Effect.void
  const ticket = Effect.callback<void>((resume) => {
    // Not at once: the event fires while the ticket is being read, and what is written then is lost.
    const done = () => setImmediate(() => resume(Effect.void))
    socket.once("session", done)
    return Effect.sync(() => {
      socket.off("session", done)
    })
  })
  return Effect.raceFirst(ticket, Effect.sleep(ACCEPTED_MILLIS))
}

/** The first byte of a TLS handshake; a frame of RocketMQ below 16 MiB begins with 0. */
const HANDSHAKE = 0x16
/** Milliseconds that a client may take for its handshake, or for its first byte. */
const HANDSHAKE_MILLIS = 10_000

/** The server side of TLS: takes TCP connections and hands over those that may be spoken to. */
export interface TlsAcceptor {
  readonly accept: (socket: Net.Socket) => void
  /** Ends the connections whose handshake is under way. */
  readonly close: () => void
}

/** Does something later, unless what it returns is called before. */
export type Later = (millis: number, action: () => void) => () => void

/** Makes a {@link TlsAcceptor}. Throws when certificate or key cannot be used. */
export const acceptor = (options: TlsServerOptions, later: Later, serve: (socket: Net.Socket) => void): TlsAcceptor => {
  const pending = new Set<Net.Socket>()
  const secured = NodeTls.createServer({
    minVersion: "TLSv1.2",
    cert: options.cert,
    key: Redacted.value(options.key),
    ca: pem(options.ca),
    requestCert: options.requestCert ?? false,
    rejectUnauthorized: options.requestCert ?? false,
    handshakeTimeout: HANDSHAKE_MILLIS
  })
  const hold = (socket: Net.Socket) => {
    pending.add(socket)
    socket.once("close", () => pending.delete(socket))
  }
  // The server has closed what it does not accept; the client knows why.
  secured.on("tlsClientError", (_, socket) => socket.destroy())
  secured.on("secureConnection", serve)
  const handshake = (socket: Net.Socket) => {
    hold(socket)
    secured.emit("connection", socket)
  }
  const sniff = (socket: Net.Socket) => {
    hold(socket)
    const inTime = later(HANDSHAKE_MILLIS, () => socket.destroy())
    socket.once("close", inTime)
    socket.once("readable", () => {
      inTime()
      const first: unknown = socket.read()
      if (!(first instanceof Uint8Array)) return
      socket.unshift(first)
      if (first[0] === HANDSHAKE) return handshake(socket)
      pending.delete(socket)
      serve(socket)
    })
  }
  return {
    accept: options.mode === "permissive" ? sniff : handshake,
    close: () => {
      for (const socket of pending) socket.destroy()
    }
  }
}
