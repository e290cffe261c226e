import { Effect } from "effect"
import { DefaultMQProducer, MQClientManager } from "effect-rocketmq"
console.log(typeof DefaultMQProducer.layer, typeof MQClientManager.layerTcp, typeof Effect.gen)
