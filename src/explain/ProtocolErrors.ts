import type { CompressionError } from "../protocol/Compression.ts"
import type { DecodeError } from "../protocol/DecodeError.ts"
import type { FrameError } from "../protocol/FrameError.ts"
import type { CompressionUnavailable } from "../protocol/Lz4.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import type { Explainers } from "./Explanation.ts"

/** What reading and writing RocketMQ's bytes can fail with. */
export type ProtocolReason = CompressionUnavailable | CompressionError | DecodeError | FrameError

const unpacking: { readonly [K in CompressionError["kind"]]: readonly [cause: string, remedy: string] } = {
  unsupported: [
    "nobody here can unpack the body of a message",
    "Unpack it with decompressEffect and lz4-napi, which know LZ4, or let the producer use ZLIB or ZSTD."
  ],
  "too-large": [
    "the body of a message would be larger than the limit when it is unpacked",
    "Raise the limit if the message is meant to be that large."
  ],
  corrupt: [
    "the body of a message is not packed as its flags say",
    "The message was damaged, or its sender wrote a wrong sysFlag; look at the sender."
  ]
}

/** How the errors of `protocol/` are explained. */
export const protocolExplainers: Explainers<ProtocolReason> = {
  CompressionUnavailable: (e) => ({
    cause: `bodies are to be packed with ${e.compression}, and there is no codec for it`,
    evidence: [`package: ${e.library}`],
    remedy: `Install ${e.library}, or set compressType to ZLIB or ZSTD, which are built in.`
  }),
  CompressionError: (e) => {
    const [cause, remedy] = unpacking[e.kind]
    return { cause, evidence: [`compression: ${e.compression}`, e.detail], remedy }
  },
  DecodeError: (e) => ({
    cause: "a frame can be read, but not what it holds",
    evidence: [...(e.code < 0 ? [] : [`request: ${requestCodeName(e.code)}`]), `field: ${e.field}`, e.detail],
    remedy: "Check that both ends speak the protocol of RocketMQ 4.9 or 5."
  }),
  FrameError: (e) => ({
    cause: "the peer sent bytes that are no RocketMQ frame",
    evidence: [`part: ${e.kind}`, e.detail],
    remedy: "Check that the address is one of a RocketMQ name server or broker, and no TLS or HTTP port."
  })
}
