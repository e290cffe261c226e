const missing = [
  "effect-rocketmq",
  "effect-rocketmq/testing",
  "effect-rocketmq/promise",
  "effect-rocketmq/protocol"
].filter((name) => Object.keys(require(name)).length < 10)
process.stdout.write(`missing: ${missing.length}\n`)
