import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A member of a group that consumes in order, until it has handled a number of messages. It prints when it begins and ends
 * each, in milliseconds since the epoch.
 *
 * <p>Request: namesrvAddr, timeoutMillis, topic, group, count.
 */
public final class JavaOrderlyMember {
    public static void main(String[] args) throws Exception {
        // Who is refused a lock asks again in the next round, 20 seconds later.
        System.setProperty("rocketmq.client.rebalance.waitInterval", "1000");
        JSONObject request = Rig.request(args);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(request.getString("group"));
        Rig.configure(consumer, request, "java-member");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAwaitTerminationMillisWhenShutdown(10_000);
        consumer.subscribe(request.getString("topic"), "*");
        CountDownLatch end = new CountDownLatch(request.getIntValue("count"));
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                JSONObject line = new JSONObject(true);
                line.put("queueId", message.getQueueId());
                line.put("offset", message.getQueueOffset());
                line.put("text", new String(message.getBody(), StandardCharsets.UTF_8));
                line.put("begin", System.currentTimeMillis());
                try {
                    Thread.sleep(5);
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                }
                line.put("end", System.currentTimeMillis());
                synchronized (JavaOrderlyMember.class) {
                    Rig.print(line);
                }
                end.countDown();
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        boolean ended = end.await(request.getLongValue("timeoutMillis") - 5_000, TimeUnit.MILLISECONDS);
        consumer.shutdown();
        if (!ended) {
            throw new IllegalStateException(end.getCount() + " messages are left to handle");
        }
        Rig.end();
    }
}
