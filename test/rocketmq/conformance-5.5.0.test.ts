import { rocketmqTarget } from "../conformance/rocketmq.ts"
import { conformance } from "../conformance/suite.ts"

conformance("RocketMQ 5.5.0", rocketmqTarget("5.5.0"))
