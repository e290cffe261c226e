import { Schema } from "effect"
import type { Redacted } from "effect"

/**
 * Why a TLS connection did not come about.
 *
 * - `expired`, `not-yet-valid`: the time of the server's certificate, by this machine's clock.
 * - `self-signed`: the server's certificate is signed by itself and is not one of the trusted ones.
 * - `untrusted`: no trusted authority has signed it.
 * - `wrong-host`: it is for another host name.
 * - `plain-server`: the server does not speak TLS.
 * - `client-cert`: the server wants a certificate of the client, or does not accept the one it was shown.
 * - `protocol`: there is no version or cipher that both speak.
 * - `options`: the given certificate, key, passphrase or authority cannot be used.
 * - `no-tls-here`: TLS was asked of a wire that has none, as the one in memory.
 */
export const TlsReason = Schema.Literals([
  "expired",
  "not-yet-valid",
  "self-signed",
  "untrusted",
  "wrong-host",
  "plain-server",
  "client-cert",
  "protocol",
  "options",
  "no-tls-here",
  "other"
])
/** What was wrong with a TLS connection; see the schema of the same name. */
export type TlsReason = typeof TlsReason.Type

/** What each reason means and what to do about it, for messages. */
export const tlsHints: { readonly [K in TlsReason]: string } = {
  expired: "the server's certificate has expired; renew it, or check this machine's clock",
  "not-yet-valid": "the server's certificate is not valid yet; check both clocks",
  "self-signed":
    "the server's certificate is signed by itself; have one authority sign those of all servers (tls.server.certPath there, and tls.test.mode.enable=false) and give the authority's as tls.ca: of several that signed themselves under one name, only one can be trusted",
  untrusted: "no trusted authority has signed the server's certificate; give the authority's as tls.ca",
  "wrong-host": "the server's certificate is for another host; connect by the name in it, or set tls.servername",
  "plain-server": "the server does not speak TLS; enable TLS there (tls.server.mode), or leave the option tls out here",
  "client-cert": "the server wants a client certificate that it trusts; set tls.cert and tls.key",
  protocol:
    "client and server have no TLS version (1.2 or later) and cipher in common, or a client certificate is missing",
  options: "one of tls.ca, tls.cert, tls.key and tls.passphrase cannot be used",
  "no-tls-here": "this wire has no TLS; use TcpWire, or leave the option tls out",
  other: "the TLS handshake failed; see the cause"
}

/**
 * How a client speaks TLS. Certificates and keys are PEM text. The server's certificate is verified and must be for the
 * host that was dialled; TLS 1.2 is the oldest version.
 *
 * Source: RocketMQ `TlsSystemConfig`, `TlsHelper`, whose client trusts every certificate by default.
 */
export interface TlsOptions {
  /** The authorities to trust, instead of those that Node trusts (Java `tls.client.trustCertPath`). */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** This client's certificate, with its chain, for servers that want one (Java `tls.client.certPath`). */
  readonly cert?: string | undefined
  /** The key of {@link TlsOptions.cert} (Java `tls.client.keyPath`). */
  readonly key?: Redacted.Redacted | undefined
  /** Opens the key, where it is encrypted (Java `tls.client.keyPassword`). */
  readonly passphrase?: Redacted.Redacted | undefined
  /** The name to ask for and to find in the certificate; default the host that is dialled. */
  readonly servername?: string | undefined
  /**
   * Takes any certificate of any host: encrypted, but with any server that answers. For tests; each start logs a
   * warning (Java's `tls.client.authServer` off, which is the default there).
   */
  readonly insecure?: boolean | undefined
}

/** How a server speaks TLS. Certificates and keys are PEM text. Source: RocketMQ `TlsSystemConfig`. */
export interface TlsServerOptions {
  /** The server's certificate, with its chain. */
  readonly cert: string
  /** The server's private key as PEM. */
  readonly key: Redacted.Redacted
  /** The authorities whose client certificates are accepted. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** Whether a client must show a certificate of one of {@link TlsServerOptions.ca}; default false. */
  readonly requestCert?: boolean | undefined
  /**
   * `enforcing` (default) speaks TLS only; `permissive` also serves clients without it, as RocketMQ does by default.
   */
  readonly mode?: "enforcing" | "permissive" | undefined
}
