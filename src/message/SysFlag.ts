/**
 * Bits of a message's `sysFlag`, an int that travels with a send and is stored with the message.
 *
 * ```text
 * bit 0       1            the body is compressed
 * bit 1       2            several tags
 * bits 2-3    0/4/8/12     transaction: none, prepared, commit, rollback
 * bit 4       16           the born host is an IPv6 address
 * bit 5       32           the store host is an IPv6 address
 * bit 6       64           the body is a batch that a consumer unwraps
 * bit 7       128          inner batch
 * bits 8-10   0..768       compression type: 0 or 768 zlib, 256 LZ4 frame, 512 zstd
 * ```
 *
 * Source: RocketMQ `MessageSysFlag`.
 */
export const SysFlag = {
  COMPRESSED: 1,
  MULTI_TAGS: 2,
  TRANSACTION_NOT_TYPE: 0,
  TRANSACTION_PREPARED: 4,
  TRANSACTION_COMMIT: 8,
  TRANSACTION_ROLLBACK: 12,
  BORNHOST_V6: 16,
  STOREHOST_V6: 32,
  NEED_UNWRAP: 64,
  INNER_BATCH: 128,
  COMPRESSION_LZ4: 256,
  COMPRESSION_ZSTD: 512,
  COMPRESSION_ZLIB: 768,
  COMPRESSION_MASK: 1792
} as const
