import { Context, Schema } from "effect"
import type { Array as Arr, Effect, Scope } from "effect"
import { tlsHints, TlsReason } from "./Tls.ts"
import type { TlsOptions, TlsServerOptions } from "./Tls.ts"

/** What went wrong with a byte stream, independent of the platform's error codes. */
export const WireErrorKind = Schema.Literals([
  "refused",
  "dns",
  "timeout",
  "reset",
  "closed",
  "unreachable",
  "address",
  "in-use",
  "tls",
  "exhausted",
  "not-allowed",
  "unknown"
])

/** What went wrong with a byte stream, independent of the platform's error codes. */
export type WireErrorKind = typeof WireErrorKind.Type

/** What each kind means and what to do about it, for messages. */
export const wireErrorHints: Readonly<Record<WireErrorKind, string>> = {
  refused: "nobody listens there; check host and port, and that the server is up",
  dns: "the host name could not be resolved; check the name and the resolver",
  timeout: "no answer within the connect timeout; check firewalls and routes, or raise connectTimeoutMillis",
  reset: "the peer cut the connection",
  closed: "the connection has ended",
  unreachable: "no route to that host; check the network",
  address: "write it as host:port or [ipv6]:port",
  "in-use": "another socket listens there; choose a free port, or port 0",
  tls: "the TLS handshake failed; check certificates and whether the server speaks TLS",
  exhausted:
    "this process or its host has no file descriptors or memory left for a socket; close some, or raise the limit (ulimit -n)",
  "not-allowed":
    "its host name stands for addresses that are not dialled: link-local, unspecified, multicast or broadcast ones; give the server another name, or let the option allowAddress allow this one",
  unknown: "see the cause"
}

/**
 * A byte stream could not be opened, or broke: `kind` says how, `cause` holds what the platform reported.
 *
 * Source: RocketMQ `RemotingConnectException` and `RemotingSendRequestException`.
 */
export class WireError extends Schema.TaggedError<WireError>()("WireError", {
  /** `host:port` of the other end; of this end for `listen`. */
  address: Schema.String,
  /** What failed. */
  operation: Schema.Literals(["connect", "listen", "read", "write"]),
  /** In which way it failed. */
  kind: WireErrorKind,
  /** For kind `tls`: what was wrong. */
  tls: Schema.optional(TlsReason),
  /** What the platform reported. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return this.tls === undefined
      ? `${this.operation} ${this.address} failed (${this.kind}): ${wireErrorHints[this.kind]}`
      : `${this.operation} ${this.address} failed (TLS, ${this.tls}): ${tlsHints[this.tls]}`
  }
}

/** Two directions of bytes between two ends, without any framing. */
export interface ByteStream {
  /** Address of the other end, `host:port`. */
  readonly remoteAddress: string
  /** Address of this end, `host:port`. */
  readonly localAddress: string
  /** The next chunks, at least one; fails with kind `closed` when the peer has ended. One pull at a time. */
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array>, WireError>
  /**
   * Hands chunks over, in one piece; suspends while the peer does not read. They must not change before
   * {@link ByteStream.isFlushed}.
   */
  readonly write: (chunks: Arr.NonEmptyReadonlyArray<Uint8Array>) => Effect.Effect<void, WireError>
  /** Whether all that was written has left this process, so that the memory of the chunks may be used again. */
  readonly isFlushed: () => boolean
}

/**
 * Opens and accepts byte streams. Everything above asks for this service, so that a client runs as well on node's
 * sockets (`TcpWire`) as on virtual ones (`MemoryWire`).
 */
export class Wire extends Context.Service<
  Wire,
  {
    /**
     * Opens a stream that is closed with the scope. Interruptible; fails with a {@link WireError} of `connect`. With
     * `tls` it is encrypted, or there is none. Of the addresses that a host name stands for, only those are dialled that
     * `mayReach` says yes to; none of them is kind `not-allowed`.
     */
    readonly connect: (
      address: string,
      options: {
        readonly connectTimeoutMillis: number
        readonly tls?: TlsOptions | undefined
        readonly mayReach?: ((ip: string) => boolean) | undefined
      }
    ) => Effect.Effect<ByteStream, WireError, Scope.Scope>
    /**
     * Accepts streams until the scope closes; port 0 takes a free port, and the result names it. `onConnection` runs in
     * a fiber of its own for each stream, whose scope, and with it the stream, is closed when the effect ends. Of more
     * than `maxSockets`, those in their TLS handshake among them, a listener of TCP closes the newest at once.
     */
    readonly listen: (
      address: string,
      onConnection: (stream: ByteStream) => Effect.Effect<void, never, Scope.Scope>,
      options?: { readonly tls?: TlsServerOptions | undefined; readonly maxSockets?: number | undefined }
    ) => Effect.Effect<{ readonly address: string }, WireError, Scope.Scope>
  }
>()("effect-rocketmq/transport/Wire") {}
