// Spans and metrics of a producer, exported by effect's own OTLP exporter to a small collector that is started here, and
// the same metrics as Prometheus would read them. Everything that arrives at the collector is printed.
import { Console, Effect, Layer, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpExporter, OtlpSerialization, PrometheusMetrics } from "effect/observability"
import * as Http from "node:http"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

// What the collector reads of OTLP's JSON.
const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.Unknown }))
const Traces = Schema.Struct({
  resourceSpans: Schema.Array(
    Schema.Struct({
      scopeSpans: Schema.Array(
        Schema.Struct({
          spans: Schema.Array(
            Schema.Struct({
              name: Schema.String,
              spanId: Schema.String,
              parentSpanId: Schema.optional(Schema.String),
              attributes: Attributes
            })
          )
        })
      )
    })
  )
})
const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(
    Schema.Struct({
      scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(Schema.Struct({ name: Schema.String })) }))
    })
  )
})
type Span = (typeof Traces)["Type"]["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

/** An OTLP/HTTP collector that keeps what it is sent. */
const collector = Effect.gen(function* () {
  const spans: Array<Span> = []
  const metrics = new Set<string>()
  const receive = (path: string | undefined, body: string) => {
    if (path === "/v1/traces") {
      const { resourceSpans } = Schema.decodeUnknownSync(Schema.fromJsonString(Traces))(body)
      spans.push(...resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)))
    }
    if (path === "/v1/metrics") {
      const { resourceMetrics } = Schema.decodeUnknownSync(Schema.fromJsonString(Metrics))(body)
      for (const one of resourceMetrics) {
        for (const { metrics: found } of one.scopeMetrics) for (const { name } of found) metrics.add(name)
      }
    }
  }
  const server = Http.createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => (body += String(chunk)))
    request.on("end", () => {
      receive(request.url, body)
      response.setHeader("content-type", "application/json").end("{}")
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  const address = server.address()
  const port = typeof address === "object" ? (address?.port ?? 0) : 0
  return { url: `http://127.0.0.1:${port}`, spans, metrics }
})

const placeOrder = Effect.fn("placeOrder")(function* (id: string) {
  const producer = yield* DefaultMQProducer
  return yield* producer.send(
    Message.make({ topic: "orders", body: JSON.stringify({ id }), tags: "created", keys: id })
  )
})

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }))
).pipe(Layer.provide(MQClientManager.layerTcp))

const program = Effect.gen(function* () {
  yield* placeOrder("order-7")
  const [stored] = yield* (yield* EmbeddedCluster).messages("orders")
  yield* Console.log(`the message carries traceparent ${stored?.properties["traceparent"]}\n`)

  // What `PrometheusMetrics.layerHttp` would serve at /metrics.
  const page = yield* PrometheusMetrics.format()
  const lines = page.split("\n").filter((line) => /^(rocketmq|messaging)_\w+/.test(line) && !line.includes("_bucket"))
  yield* Console.log(`prometheus:\n  ${lines.join("\n  ")}\n`)

  // Else the exporter sends every few seconds, and when its scope closes.
  yield* (yield* OtlpExporter.Flusher).flush
})

const main = Effect.gen(function* () {
  const { metrics, spans, url } = yield* collector
  const Telemetry = Otlp.layer({ baseUrl: url, resource: { serviceName: "orders" } }).pipe(
    Layer.provide(OtlpSerialization.layerJson),
    Layer.provide(FetchHttpClient.layer)
  )
  yield* program.pipe(
    Effect.provide(Producer.pipe(Layer.provideMerge(EmbeddedCluster.layerTcp()), Layer.provideMerge(Telemetry)))
  )

  const show = (span: Span, indent: string): ReadonlyArray<string> => [
    `${indent}${span.name}`,
    ...spans.filter((child) => child.parentSpanId === span.spanId).flatMap((child) => show(child, `${indent}  `))
  ]
  const roots = spans.filter(({ parentSpanId }) => !spans.some(({ spanId }) => spanId === parentSpanId))
  yield* Console.log(`spans that the collector received:\n${roots.flatMap((root) => show(root, "  ")).join("\n")}\n`)
  const send = spans.find(({ name }) => name === "send orders")
  const told = send?.attributes.map(({ key, value }) => `${key}: ${JSON.stringify(value)}`) ?? []
  yield* Console.log(`of the send span:\n  ${told.join("\n  ")}\n`)
  yield* Console.log(`metrics that the collector received:\n  ${[...metrics].toSorted().join("\n  ")}`)
})

await Effect.runPromise(Effect.scoped(main))
