import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.Base64;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/** What the programs share: the request is a JSON file named by the first argument, results are JSON lines. */
final class Rig {
    private static final PrintStream RESULTS =
        new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

    static JSONObject request(String[] args) throws Exception {
        // What RocketMQ prints must not get between the results.
        System.setOut(System.err);
        return JSON.parseObject(new String(Files.readAllBytes(Paths.get(args[0])), StandardCharsets.UTF_8));
    }

    static void print(JSONObject result) {
        RESULTS.println(JSON.toJSONString(result));
    }

    /** Ends the process without waiting for client threads; everything printed is out first. */
    static void end() {
        RESULTS.flush();
        Runtime.getRuntime().exit(0);
    }

    static void configure(ClientConfig client, JSONObject request, String instance) {
        client.setNamesrvAddr(request.getString("namesrvAddr"));
        client.setVipChannelEnabled(false);
        // A test machine may be busy; the default is 3 seconds.
        client.setMqClientApiTimeout(30_000);
        client.setInstanceName(instance + "-" + ProcessHandle.current().pid());
        if (request.containsKey("namespace")) {
            client.setNamespace(request.getString("namespace"));
        }
    }

    /** What signs the requests, or null. */
    static RPCHook hook(JSONObject request) {
        return request.containsKey("accessKey")
            ? new AclClientRPCHook(new SessionCredentials(request.getString("accessKey"), request.getString("secretKey")))
            : null;
    }

    static JSONObject json(MessageExt message, String brokerName, String offsetMsgId, boolean digest) throws Exception {
        JSONObject out = new JSONObject(true);
        out.put("topic", message.getTopic());
        out.put("brokerName", brokerName);
        out.put("queueId", message.getQueueId());
        out.put("queueOffset", message.getQueueOffset());
        out.put("commitLogOffset", message.getCommitLogOffset());
        out.put("msgId", message.getMsgId());
        out.put("offsetMsgId", offsetMsgId);
        out.put("keys", message.getKeys());
        out.put("tags", message.getTags());
        out.put("flag", message.getFlag());
        out.put("sysFlag", message.getSysFlag());
        out.put("reconsumeTimes", message.getReconsumeTimes());
        out.put("bornTimestamp", message.getBornTimestamp());
        out.put("storeTimestamp", message.getStoreTimestamp());
        out.put("bornHost", message.getBornHostString());
        out.put("properties", new JSONObject(new java.util.TreeMap<>(message.getProperties())));
        byte[] body = message.getBody() == null ? new byte[0] : message.getBody();
        out.put("bodyLength", body.length);
        if (digest) {
            StringBuilder hex = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-256").digest(body)) {
                hex.append(String.format("%02x", b));
            }
            out.put("bodySha256", hex.toString());
        } else {
            out.put("bodyBase64", Base64.getEncoder().encodeToString(body));
        }
        return out;
    }
}
