import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.Base64;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/**
 * Sends requests, one after the other, and prints one JSON line a reply.
 *
 * <p>Request: namesrvAddr, topic, group, bodies (base64), requestTimeoutMillis.
 */
public final class JavaRequester {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        DefaultMQProducer producer = new DefaultMQProducer(request.getString("group"));
        Rig.configure(producer, request, "requester");
        producer.start();
        JSONArray bodies = request.getJSONArray("bodies");
        for (int i = 0; i < bodies.size(); i++) {
            Message question = new Message(request.getString("topic"), Base64.getDecoder().decode(bodies.getString(i)));
            Message reply = producer.request(question, request.getLongValue("requestTimeoutMillis"));
            JSONObject out = new JSONObject(true);
            out.put("topic", reply.getTopic());
            out.put("properties", new JSONObject(new TreeMap<>(reply.getProperties())));
            out.put("bodyBase64", Base64.getEncoder().encodeToString(reply.getBody()));
            Rig.print(out);
        }
        producer.shutdown();
        Rig.end();
    }
}
