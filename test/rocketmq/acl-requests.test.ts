/** Every request of a producer and of an administrator, on real RocketMQ with access control: each signed as it is taken. */
import { administration } from "../admin/administration.ts"
import { everyProducerRequest } from "../admin/everyRequest.ts"
import { rocketmqTarget } from "../conformance/rocketmq.ts"
import type { Release } from "../conformance/Target.ts"

for (const release of ["4.9.7", "5.5.0"] satisfies ReadonlyArray<Release>) {
  administration(
    `administration of RocketMQ ${release} under access control`,
    rocketmqTarget(release, true),
    (test) => {
      test.effect("a producer's requests, each of them", () => everyProducerRequest)
    }
  )
}
