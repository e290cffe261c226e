import com.alibaba.fastjson.JSONObject;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * What a broker does for a Java client beyond plain sends, and prints one JSON line an observation: delay levels, timers and
 * recall, transactions with checks, request and reply, orderly consumption, repeated consumption with dead letters, queues
 * that the broker assigns, and the VIP channel.
 *
 * <p>Request: namesrvAddr, timeoutMillis, scenarios (names). The scenarios run side by side; each has its own topics and
 * groups, named after it. The topics must exist with one queue on the broker broker-a.
 */
public final class JavaScenarios {
    private interface Scenario {
        void run(Lines out) throws Exception;
    }

    private static JSONObject request;
    private static long deadline;

    public static void main(String[] args) throws Exception {
        request = Rig.request(args);
        deadline = System.currentTimeMillis() + request.getLongValue("timeoutMillis") - 2000;
        Map<String, Scenario> known = new HashMap<>();
        known.put("delay", JavaScenarios::delay);
        known.put("timer", JavaScenarios::timer);
        known.put("transaction", JavaScenarios::transaction);
        known.put("request", JavaScenarios::request);
        known.put("orderly", JavaScenarios::orderly);
        known.put("retry", JavaScenarios::retry);
        known.put("assigned", JavaScenarios::assigned);
        known.put("vip", JavaScenarios::vip);
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = new CopyOnWriteArrayList<>();
        for (Object name : request.getJSONArray("scenarios")) {
            Thread thread = new Thread(() -> {
                try {
                    known.get(name).run(new Lines((String) name));
                } catch (Throwable failure) {
                    failures.add(new IllegalStateException("scenario " + name, failure));
                }
            }, (String) name);
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (!failures.isEmpty()) {
            for (Throwable failure : failures) {
                failure.printStackTrace();
            }
            Runtime.getRuntime().exit(1);
        }
        Rig.end();
    }

    /** Prints lines of one scenario. */
    private static final class Lines {
        private final String scenario;

        Lines(String scenario) {
            this.scenario = scenario;
        }

        void line(String what, JSONObject line) {
            JSONObject out = new JSONObject(true);
            out.put("scenario", scenario);
            out.put("what", what);
            out.putAll(line);
            synchronized (JavaScenarios.class) {
                Rig.print(out);
            }
        }

        void message(String what, MessageExt message) throws Exception {
            line(what, Rig.json(message, "broker-a", message.getMsgId(), false));
        }

        void sent(String what, SendResult result) throws Exception {
            JSONObject out = new JSONObject(true);
            out.put("sendStatus", result.getSendStatus().name());
            out.put("queueId", result.getMessageQueue().getQueueId());
            out.put("queueOffset", result.getQueueOffset());
            out.put("offsetMsgIdLength", result.getOffsetMsgId() == null ? 0 : result.getOffsetMsgId().length());
            out.put("hasTransactionId", result.getTransactionId() != null);
            out.put("hasRecallHandle", recallHandle(result) != null);
            line(what, out);
        }

        void failed(String what, Exception failure) {
            JSONObject out = new JSONObject(true);
            out.put("failure", failure.getClass().getSimpleName());
            if (failure instanceof MQBrokerException) {
                out.put("code", ((MQBrokerException) failure).getResponseCode());
                out.put("text", ((MQBrokerException) failure).getErrorMessage());
            } else if (failure instanceof MQClientException) {
                out.put("code", ((MQClientException) failure).getResponseCode());
            }
            line(what, out);
        }
    }

    private static <P extends DefaultMQProducer> P started(P producer, String name) throws Exception {
        Rig.configure(producer, request, name);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        return producer;
    }

    private static DefaultMQPushConsumer consumer(String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        Rig.configure(consumer, request, group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        return consumer;
    }

    private static Message message(String topic, String body) {
        return new Message(topic, body.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    private static MessageQueue queue(String topic) {
        return new MessageQueue(topic, "broker-a", 0);
    }

    private static void await(String what, java.util.function.BooleanSupplier done) throws Exception {
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("out of time: " + what);
            }
            Thread.sleep(20);
        }
    }

    /** Reads queue 0 of a topic until it has so many messages. */
    private static List<MessageExt> read(String topic, String group, int count) throws Exception {
        DefaultMQPullConsumer pull = new DefaultMQPullConsumer(group);
        Rig.configure(pull, request, group);
        pull.start();
        await("a route for " + topic, () -> {
            try {
                return !pull.fetchSubscribeMessageQueues(topic).isEmpty();
            } catch (MQClientException notYet) {
                return false;
            }
        });
        List<MessageExt> found = new ArrayList<>();
        long offset = 0;
        while (found.size() < count) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("out of time: " + topic + " has " + found.size() + " of " + count);
            }
            PullResult result = pull.pull(queue(topic), "*", offset, 32);
            if (result.getPullStatus() == PullStatus.FOUND) {
                found.addAll(result.getMsgFoundList());
            } else {
                Thread.sleep(50);
            }
            offset = result.getNextBeginOffset();
        }
        pull.shutdown();
        return found;
    }

    private static void delay(Lines out) throws Exception {
        DefaultMQProducer producer = started(new DefaultMQProducer("delay-pg"), "delay");
        for (int level : new int[] {2, 1, 99}) {
            Message message = message("delay", "level " + level);
            message.setDelayTimeLevel(level);
            message.setTags("d" + level);
            message.setFlag(7);
            out.sent("sent", producer.send(message, queue("delay")));
        }
        for (MessageExt message : read("delay", "delay-cg", 3)) {
            out.message("arrived", message);
        }
        producer.shutdown();
    }

    private static String recallHandle(SendResult result) throws Exception {
        try {
            return (String) SendResult.class.getMethod("getRecallHandle").invoke(result);
        } catch (NoSuchMethodException before530) {
            return null;
        }
    }

    private static void timer(Lines out) throws Exception {
        DefaultMQProducer producer = started(new DefaultMQProducer("timer-pg"), "timer");
        long now = System.currentTimeMillis();
        Map<String, String> times = new java.util.LinkedHashMap<>();
        times.put("TIMER_DELAY_MS", "2500");
        times.put("TIMER_DELAY_SEC", "3");
        times.put("TIMER_DELIVER_MS", String.valueOf(now - 1000));
        for (Map.Entry<String, String> time : times.entrySet()) {
            Message message = message("timer", time.getKey());
            MessageAccessor.putProperty(message, time.getKey(), time.getValue());
            out.sent("sent", producer.send(message, queue("timer")));
        }
        for (String seconds : new String[] {"259201", "soon"}) {
            Message message = message("timer", "too far");
            MessageAccessor.putProperty(message, "TIMER_DELAY_SEC", seconds);
            try {
                out.sent("taken", producer.send(message, queue("timer")));
            } catch (MQBrokerException refusal) {
                out.failed("refused", refusal);
            }
        }
        Message recalled = message("timer", "recalled");
        MessageAccessor.putProperty(recalled, "TIMER_DELAY_SEC", "4");
        SendResult result = producer.send(recalled, queue("timer"));
        String handle = recallHandle(result);
        recall(out, producer, handle, result.getMsgId());
        recall(out, producer, "nonsense", "");
        Message last = message("timer", "last");
        MessageAccessor.putProperty(last, "TIMER_DELAY_SEC", "6");
        producer.send(last, queue("timer"));
        for (MessageExt message : read("timer", "timer-cg", 4)) {
            out.message("arrived", message);
        }
        recall(out, producer, handle, result.getMsgId());
        producer.shutdown();
    }

    private static void recall(Lines out, DefaultMQProducer producer, String handle, String msgId) throws Exception {
        try {
            Object answer = DefaultMQProducer.class
                .getMethod("recallMessage", String.class, String.class)
                .invoke(producer, "timer", handle);
            JSONObject line = new JSONObject(true);
            line.put("sameId", msgId.equals(answer));
            out.line("recalled", line);
        } catch (InvocationTargetException failure) {
            out.failed("not recalled", (Exception) failure.getCause());
        }
    }

    private static void transaction(Lines out) throws Exception {
        Map<String, Integer> checks = new HashMap<>();
        TransactionMQProducer producer = new TransactionMQProducer("transaction-pg");
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object arg) {
                return LocalTransactionState.valueOf((String) arg);
            }

            @Override
            public synchronized LocalTransactionState checkLocalTransaction(MessageExt message) {
                try {
                    out.message("checked", message);
                } catch (Exception impossible) {
                    throw new IllegalStateException(impossible);
                }
                String body = text(message);
                synchronized (checks) {
                    checks.merge(body, 1, Integer::sum);
                    if (body.contains("later") && checks.get(body) < 2) {
                        return LocalTransactionState.UNKNOW;
                    }
                }
                return body.endsWith("rollback")
                    ? LocalTransactionState.ROLLBACK_MESSAGE
                    : LocalTransactionState.COMMIT_MESSAGE;
            }
        });
        started(producer, "transaction");
        String[][] given = {
            {"committed", "COMMIT_MESSAGE"},
            {"rolled back", "ROLLBACK_MESSAGE"},
            {"asked", "UNKNOW"},
            {"asked, rollback", "UNKNOW"},
            {"asked, later", "UNKNOW"}
        };
        for (String[] each : given) {
            Message message = message("transaction", each[0]);
            message.setTags("T");
            message.setKeys("k " + each[0].length());
            SendResult result = producer.sendMessageInTransaction(message, each[1]);
            JSONObject line = new JSONObject(true);
            line.put("sendStatus", result.getSendStatus().name());
            line.put("queueId", result.getMessageQueue().getQueueId());
            line.put("queueOffset", result.getQueueOffset());
            line.put("sameTransactionId", result.getMsgId().equals(result.getTransactionId()));
            out.line("sent", line);
        }
        for (MessageExt message : read("transaction", "transaction-cg", 3)) {
            out.message("visible", message);
        }
        await("a check that rolls back", () -> {
            synchronized (checks) {
                return checks.containsKey("asked, rollback");
            }
        });
        producer.shutdown();
    }

    private static void request(Lines out) throws Exception {
        DefaultMQProducer replier = started(new DefaultMQProducer("request-replier"), "request-replier");
        DefaultMQPushConsumer consumer = consumer("request-cg", "request");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    out.message("asked", message);
                    if (!text(message).equals("silence")) {
                        byte[] body = ("re: " + text(message)).getBytes(StandardCharsets.UTF_8);
                        out.sent("replied", replier.send(MessageUtil.createReplyMessage(message, body)));
                    }
                } catch (Exception failure) {
                    out.failed("reply failed", failure);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        // A consumer that came too late for its first rebalance has the next one after 20 s, as long as a request waits.
        await("the queue of the one who replies", () -> consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl()
            .getProcessQueueTable().keySet().stream().anyMatch(queue -> queue.getTopic().equals("request")));
        DefaultMQProducer producer = started(new DefaultMQProducer("request-pg"), "request");
        Message answered = producer.request(message("request", "question"), 20_000);
        JSONObject line = new JSONObject(true);
        line.put("body", new String(answered.getBody(), StandardCharsets.UTF_8));
        line.put("topic", answered.getTopic());
        line.put("propertyNames", new java.util.TreeSet<>(answered.getProperties().keySet()));
        out.line("answered", line);
        try {
            producer.request(message("request", "silence"), 3000);
            out.line("answered", line);
        } catch (RequestTimeoutException expected) {
            out.line("not answered", new JSONObject());
        }
        for (MessageExt message : read("DefaultCluster_REPLY_TOPIC", "request-reader", 1)) {
            out.message("stored", message);
        }
        consumer.shutdown();
        producer.shutdown();
        replier.shutdown();
    }

    private static void orderly(Lines out) throws Exception {
        DefaultMQProducer producer = started(new DefaultMQProducer("orderly-pg"), "orderly");
        for (int i = 0; i < 20; i++) {
            producer.send(message("orderly", String.valueOf(i)), new SelectMessageQueueByHash(), "key");
        }
        List<String> seen = new CopyOnWriteArrayList<>();
        DefaultMQPushConsumer consumer = consumer("orderly-cg", "orderly");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            // The tenth is tried again: those behind it wait.
            for (MessageExt message : messages) {
                if (text(message).equals("10") && message.getReconsumeTimes() == 0) {
                    seen.add("10, first");
                    context.setSuspendCurrentQueueTimeMillis(100);
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                seen.add(text(message));
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        await("all messages in order", () -> seen.contains("19"));
        JSONObject line = new JSONObject(true);
        line.put("seen", seen);
        out.line("seen", line);
        consumer.shutdown();
        producer.shutdown();
    }

    /** The consumer asks the broker which queues are its own. */
    private static void assigned(Lines out) throws Exception {
        DefaultMQProducer producer = started(new DefaultMQProducer("assigned-pg"), "assigned");
        DefaultMQPushConsumer consumer = consumer("assigned-cg", "assigned");
        // 4.x has no such method.
        DefaultMQPushConsumer.class.getMethod("setClientRebalance", boolean.class).invoke(consumer, false);
        List<String> seen = new CopyOnWriteArrayList<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                seen.add(text(message));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        for (int i = 0; i < 3; i++) {
            producer.send(message("assigned", String.valueOf(i)), queue("assigned"));
        }
        await("the messages of the assigned queue", () -> seen.size() == 3);
        JSONObject line = new JSONObject(true);
        line.put("seen", new java.util.TreeSet<>(seen));
        out.line("seen", line);
        consumer.shutdown();
        producer.shutdown();
    }

    /** Everything goes to the broker's second listener, but pulls and heartbeats. */
    private static void vip(Lines out) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("vip-pg");
        Rig.configure(producer, request, "vip");
        producer.setSendMsgTimeout(10_000);
        producer.setVipChannelEnabled(true);
        producer.start();
        out.sent("sent", producer.send(message("vip", "over the second port"), queue("vip")));
        DefaultMQPushConsumer consumer = consumer("vip-cg", "vip");
        consumer.setVipChannelEnabled(true);
        List<String> seen = new CopyOnWriteArrayList<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                seen.add(text(message) + ", time " + message.getReconsumeTimes());
                // It goes back over the second port, and comes once more.
                if (message.getReconsumeTimes() == 0) {
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        await("the message, twice", () -> seen.size() == 2);
        JSONObject line = new JSONObject(true);
        line.put("seen", seen);
        out.line("seen", line);
        consumer.shutdown();
        producer.shutdown();
    }

    private static void retry(Lines out) throws Exception {
        DefaultMQProducer producer = started(new DefaultMQProducer("retry-pg"), "retry");
        Message message = message("retry", "never right");
        message.setKeys("retried");
        producer.send(message, queue("retry"));
        DefaultMQPushConsumer consumer = consumer("retry-cg", "retry");
        consumer.setMaxReconsumeTimes(2);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt each : messages) {
                try {
                    out.message("tried", each);
                } catch (Exception impossible) {
                    throw new IllegalStateException(impossible);
                }
            }
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        for (MessageExt dead : read("%DLQ%retry-cg", "retry-reader", 1)) {
            out.message("dead", dead);
        }
        consumer.shutdown();
        producer.shutdown();
    }
}
