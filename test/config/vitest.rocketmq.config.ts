import { defineConfig } from "vitest/config"

/** `npm run test:rocketmq`: real RocketMQ started from Maven's jars, and the Java clients against the embedded cluster. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/rocketmq/**/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000
  }
})
