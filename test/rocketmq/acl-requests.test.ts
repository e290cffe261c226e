/** Every request of a producer, of a consumer and of an administrator, on real RocketMQ with access control: each signed as it is taken. */
import { administration } from "../admin/administration.ts"
import { everyConsumerRequest, everyProducerRequest } from "../admin/everyRequest.ts"
import { rocketmqTarget } from "../conformance/rocketmq.ts"
import type { Release } from "../conformance/Target.ts"

for (const release of ["4.9.7", "5.5.0"] satisfies ReadonlyArray<Release>) {
  administration(
    `administration of RocketMQ ${release} under access control`,
    rocketmqTarget(release, true),
    (test) => {
      test.effect("a producer's requests, each of them", () => everyProducerRequest)
      test.effect("a consumer's requests, each of them", () => everyConsumerRequest)
    }
  )
}
