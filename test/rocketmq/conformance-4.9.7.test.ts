import { rocketmqTarget } from "../conformance/rocketmq.ts"
import { conformance } from "../conformance/suite.ts"

conformance("RocketMQ 4.9.7", rocketmqTarget("4.9.7"))
