import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A member of a consumer group, until it has got the message "x"; that one it gives back with a delay of 10 seconds. It
 * prints each message, and in the end the queues it owned.
 *
 * <p>Request: namesrvAddr, timeoutMillis, topic, group.
 */
public final class JavaMember {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        String topic = request.getString("topic");
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(request.getString("group"));
        Rig.configure(consumer, request, "java-member");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAwaitTerminationMillisWhenShutdown(10_000);
        consumer.subscribe(topic, "*");
        CountDownLatch end = new CountDownLatch(1);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String text = new String(message.getBody(), StandardCharsets.UTF_8);
                JSONObject line = new JSONObject(true);
                line.put("what", "got");
                line.put("text", text);
                line.put("topic", message.getTopic());
                line.put("reconsumeTimes", message.getReconsumeTimes());
                synchronized (JavaMember.class) {
                    Rig.print(line);
                }
                if (text.equals("x")) {
                    context.setDelayLevelWhenNextConsume(3);
                    end.countDown();
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean ended = end.await(request.getLongValue("timeoutMillis") - 5_000, TimeUnit.MILLISECONDS);
        List<String> owned = new ArrayList<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) {
                owned.add(queue.getTopic() + "@" + queue.getBrokerName() + "@" + queue.getQueueId());
            }
        }
        JSONObject line = new JSONObject(true);
        line.put("what", ended ? "owned" : "timed out, owned");
        line.put("queues", owned);
        // What was given back has to have left.
        Thread.sleep(1_000);
        consumer.shutdown();
        synchronized (JavaMember.class) {
            Rig.print(line);
        }
        Rig.end();
    }
}
