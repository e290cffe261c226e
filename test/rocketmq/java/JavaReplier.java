import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Consumes requests and replies to each with "re: " and its body, and prints one JSON line a request; ends after so many.
 *
 * <p>Request: namesrvAddr, topic, group, count, timeoutMillis.
 */
public final class JavaReplier {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        String group = request.getString("group");
        CountDownLatch left = new CountDownLatch(request.getIntValue("count"));
        DefaultMQProducer producer = new DefaultMQProducer(group + "-producer");
        Rig.configure(producer, request, "replier");
        producer.setSendMsgTimeout(10_000);
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        Rig.configure(consumer, request, "replier-consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(request.getString("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    String body = "re: " + new String(message.getBody(), StandardCharsets.UTF_8);
                    Message reply = MessageUtil.createReplyMessage(message, body.getBytes(StandardCharsets.UTF_8));
                    reply.setTags("from-java");
                    producer.send(reply);
                    synchronized (left) {
                        Rig.print(Rig.json(message, context.getMessageQueue().getBrokerName(), message.getMsgId(), false));
                        left.countDown();
                    }
                } catch (Exception failure) {
                    failure.printStackTrace();
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        if (!left.await(request.getLongValue("timeoutMillis"), TimeUnit.MILLISECONDS)) {
            throw new IllegalStateException(left.getCount() + " requests did not come");
        }
        consumer.shutdown();
        producer.shutdown();
        Rig.end();
    }
}
