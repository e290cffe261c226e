import { defineConfig } from "vitest/config"

/** `npm test`: everything that needs no real RocketMQ. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "test/rocketmq/**", "test/runtimes/**"],
    pool: "forks",
    testTimeout: 30_000
  }
})
