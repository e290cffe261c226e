import { Schema } from "effect"
import * as Millis from "../../message/Millis.ts"

/**
 * The broker stored the half message, but not as durably as it is configured to. The local transaction was not run and
 * the message was rolled back, so that the transaction can be tried again.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendMessageInTransaction`, which gives a result with ROLLBACK_MESSAGE.
 */
export class TransactionNotRun extends Schema.TaggedError<TransactionNotRun>()("TransactionNotRun", {
  /** The topic of the message. */
  topic: Schema.String,
  /** The unique id of the half message. */
  msgId: Schema.String,
  /** What the broker said instead of SEND_OK. */
  status: Schema.Literals(["FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"])
}) {
  override get message() {
    return `The transaction of message ${this.msgId} to topic "${this.topic}" was not run: the half message was answered ${this.status} and rolled back. Try again; if it stays so, look at the broker's disk and replicas.`
  }
}

/**
 * The local transaction took longer than `transactionTimeoutMillis` and was interrupted. How far it came is not known, so
 * the message stays undecided until the broker asks.
 */
export class LocalTransactionTimeout extends Schema.TaggedError<LocalTransactionTimeout>()("LocalTransactionTimeout", {
  /** The topic of the message. */
  topic: Schema.String,
  /** The unique id of the half message. */
  msgId: Schema.String,
  /** Milliseconds that the transaction had: `transactionTimeoutMillis`. */
  timeoutMillis: Schema.Number
}) {
  override get message() {
    return `The local transaction of message ${this.msgId} to topic "${this.topic}" did not end within ${Millis.text(this.timeoutMillis)} and was interrupted. The message is neither committed nor rolled back; checkLocalTransaction decides when the broker asks.`
  }
}

/** What a transaction can fail with besides `SendError` and what its own effect fails with. */
export const TransactionFailure = Schema.Union([TransactionNotRun, LocalTransactionTimeout])
/** What a transaction can fail with besides `SendError` and what its own effect fails with. */
export type TransactionFailure = typeof TransactionFailure.Type
