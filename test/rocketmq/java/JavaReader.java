import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Reads every message that a topic holds now, from the least to the greatest offset of each queue, and prints one JSON
 * line a message.
 *
 * <p>Request: namesrvAddr, accessKey, secretKey, namespace, topic, with ("pull" or "litePull"), group, digest (SHA-256
 * instead of the body), timeoutMillis.
 */
public final class JavaReader {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        long deadline = System.currentTimeMillis() + request.getLongValue("timeoutMillis");
        String topic = request.getString("topic");

        // The ends of the queues come from the pull consumer in both cases: the lite one does not tell them.
        DefaultMQPullConsumer pull = new DefaultMQPullConsumer(request.getString("group"), Rig.hook(request));
        Rig.configure(pull, request, "reader");
        pull.start();
        Map<MessageQueue, Long> ends = new HashMap<>();
        Set<MessageQueue> queues = new TreeSet<>(pull.fetchSubscribeMessageQueues(topic));
        for (MessageQueue queue : queues) {
            ends.put(queue, pull.maxOffset(queue));
        }
        if (request.getString("with").equals("litePull")) {
            readLite(request, topic, ends, deadline);
        } else {
            for (MessageQueue queue : queues) {
                readQueue(pull, request, queue, ends.get(queue), deadline);
            }
        }
        Rig.end();
    }

    private static void readQueue(
        DefaultMQPullConsumer consumer, JSONObject request, MessageQueue queue, long end, long deadline) throws Exception {
        // An empty queue of batches that are stored whole begins at -1.
        long offset = Math.max(0, consumer.minOffset(queue));
        while (offset < end) {
            check(deadline, "queue " + queue + " was read up to " + offset + " of " + end);
            PullResult result = consumer.pull(queue, "*", offset, 32);
            if (result.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : result.getMsgFoundList()) {
                    if (message.getQueueOffset() < end) {
                        print(message, queue.getBrokerName(), request);
                    }
                }
            }
            offset = Math.max(result.getNextBeginOffset(), offset);
            if (result.getPullStatus() == PullStatus.NO_NEW_MSG) {
                Thread.sleep(20);
            }
        }
    }

    private static void readLite(JSONObject request, String topic, Map<MessageQueue, Long> ends, long deadline)
        throws Exception {
        DefaultLitePullConsumer lite = new DefaultLitePullConsumer(request.getString("group") + "-lite", Rig.hook(request));
        Rig.configure(lite, request, "lite-reader");
        lite.setAutoCommit(false);
        // Not by a seek: a task of the assignment that seek cancels can still take the new offset away from the task that
        // follows it (DefaultLitePullConsumerImpl.nextPullOffset), and that queue is then read from its end.
        lite.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        lite.start();
        List<MessageQueue> queues = new ArrayList<>(lite.fetchMessageQueues(topic));
        lite.assign(queues);
        Map<MessageQueue, Long> left = new HashMap<>();
        for (MessageQueue queue : queues) {
            if (ends.getOrDefault(queue, 0L) > 0) {
                left.put(queue, ends.get(queue));
            }
        }
        while (!left.isEmpty()) {
            check(deadline, "these queues were not read to their ends: " + left);
            for (MessageExt message : lite.poll(200)) {
                MessageQueue queue = new MessageQueue(topic, message.getBrokerName(), message.getQueueId());
                Long end = left.get(queue);
                if (end == null || message.getQueueOffset() >= end) {
                    continue;
                }
                print(message, message.getBrokerName(), request);
                if (message.getQueueOffset() == end - 1) {
                    left.remove(queue);
                }
            }
        }
    }

    private static void check(long deadline, String state) {
        if (System.currentTimeMillis() > deadline) {
            throw new IllegalStateException("Out of time: " + state);
        }
    }

    private static void print(MessageExt message, String brokerName, JSONObject request) throws Exception {
        String offsetMsgId = message instanceof MessageClientExt
            ? ((MessageClientExt) message).getOffsetMsgId()
            : message.getMsgId();
        Rig.print(Rig.json(message, brokerName, offsetMsgId, request.getBooleanValue("digest")));
    }
}
