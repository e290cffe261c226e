import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends the messages of the request, one after the other or as one batch, and prints one JSON line a send result.
 *
 * <p>Request: namesrvAddr, accessKey, secretKey, namespace, group, compressOver (bytes), sendTimeoutMillis, batch, messages [{topic, bodyBase64, tags, keys,
 * properties, queueId, brokerName}]; a message with queueId goes to that queue.
 */
public final class JavaProducer {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        DefaultMQProducer producer = new DefaultMQProducer(request.getString("group"), Rig.hook(request));
        Rig.configure(producer, request, "producer");
        producer.setSendMsgTimeout(request.getIntValue("sendTimeoutMillis"));
        producer.setCompressMsgBodyOverHowmuch(request.getIntValue("compressOver"));
        producer.setMaxMessageSize(4 * 1024 * 1024);
        producer.start();
        JSONArray messages = request.getJSONArray("messages");
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < messages.size(); i++) {
            JSONObject given = messages.getJSONObject(i);
            Message message = new Message(given.getString("topic"), Base64.getDecoder().decode(given.getString("bodyBase64")));
            if (given.containsKey("tags")) {
                message.setTags(given.getString("tags"));
            }
            if (given.containsKey("keys")) {
                message.setKeys(given.getString("keys"));
            }
            if (given.containsKey("properties")) {
                JSONObject properties = given.getJSONObject("properties");
                for (String name : properties.keySet()) {
                    message.putUserProperty(name, properties.getString(name));
                }
            }
            if (request.getBooleanValue("batch")) {
                batch.add(message);
                continue;
            }
            print(given.containsKey("queueId")
                ? producer.send(
                    message,
                    new MessageQueue(message.getTopic(), given.getString("brokerName"), given.getIntValue("queueId")))
                : producer.send(message));
        }
        if (!batch.isEmpty()) {
            print(producer.send(batch));
        }
        producer.shutdown();
        Rig.end();
    }

    private static void print(SendResult result) {
        JSONObject out = new JSONObject(true);
        out.put("sendStatus", result.getSendStatus().name());
        out.put("topic", result.getMessageQueue().getTopic());
        out.put("brokerName", result.getMessageQueue().getBrokerName());
        out.put("queueId", result.getMessageQueue().getQueueId());
        out.put("queueOffset", result.getQueueOffset());
        out.put("msgId", result.getMsgId());
        out.put("offsetMsgId", result.getOffsetMsgId());
        out.put("regionId", result.getRegionId());
        out.put("traceOn", result.isTraceOn());
        Rig.print(out);
    }
}
