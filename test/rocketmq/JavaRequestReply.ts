/** Request and reply by RocketMQ's own Java clients. */
import type { Effect } from "effect"
import { type JavaClientOptions, type JavaMessage, runProgram } from "./JavaClient.ts"
import type { RigError } from "./RigError.ts"

/** A reply as the Java requester got it. */
export interface JavaReply {
  readonly topic: string
  readonly properties: Readonly<Record<string, string>>
  readonly bodyBase64: string
}

/** Consumes so many requests of a topic and replies "re: " and the body to each; gives the requests. */
export const reply = (
  options: JavaClientOptions & { readonly topic: string; readonly group: string; readonly count: number }
): Effect.Effect<ReadonlyArray<JavaMessage>, RigError> =>
  runProgram<JavaMessage>("JavaReplier", options, {
    topic: options.topic,
    group: options.group,
    count: options.count
  })

/** Sends requests, one after the other; gives the replies, and fails when one does not come. */
export const request = (
  options: JavaClientOptions & {
    readonly topic: string
    readonly group: string
    readonly bodies: ReadonlyArray<string>
    readonly requestTimeoutMillis: number
  }
): Effect.Effect<ReadonlyArray<JavaReply>, RigError> =>
  runProgram<JavaReply>("JavaRequester", options, {
    topic: options.topic,
    group: options.group,
    bodies: options.bodies.map((body) => Buffer.from(body).toString("base64")),
    requestTimeoutMillis: options.requestTimeoutMillis
  })
