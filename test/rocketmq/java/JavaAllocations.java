import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Shares queues out as Java's strategies do, and prints one line a group: by strategy, the queues of one member as
 * "topic@broker@id", in their order.
 *
 * <p>Request: idcs (rooms of ByMachineRoom), groups: each with topic, queues ([brokerName, queueId] pairs), cids and cid.
 * The room of a broker or of a client is what stands before the first '@' of its name.
 */
public final class JavaAllocations {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        Set<String> idcs = new HashSet<>(request.getJSONArray("idcs").toJavaList(String.class));
        AllocateMessageQueueByMachineRoom byRoom = new AllocateMessageQueueByMachineRoom();
        byRoom.setConsumeridcs(idcs);
        Map<String, AllocateMessageQueueStrategy> strategies = new LinkedHashMap<>();
        strategies.put("AVG", new AllocateMessageQueueAveragely());
        strategies.put("AVG_BY_CIRCLE", new AllocateMessageQueueAveragelyByCircle());
        strategies.put("CONSISTENT_HASH", new AllocateMessageQueueConsistentHash());
        strategies.put("MACHINE_ROOM", byRoom);
        strategies.put("MACHINE_ROOM_NEARBY-AVG", new AllocateMachineRoomNearby(new AllocateMessageQueueAveragely(),
            new AllocateMachineRoomNearby.MachineRoomResolver() {
                @Override
                public String brokerDeployIn(MessageQueue queue) {
                    return queue.getBrokerName().split("@")[0];
                }

                @Override
                public String consumerDeployIn(String clientID) {
                    return clientID.split("@")[0];
                }
            }));
        for (Object each : request.getJSONArray("groups")) {
            JSONObject group = (JSONObject) each;
            List<MessageQueue> queues = new ArrayList<>();
            for (Object pair : group.getJSONArray("queues")) {
                JSONArray queue = (JSONArray) pair;
                queues.add(new MessageQueue(group.getString("topic"), queue.getString(0), queue.getIntValue(1)));
            }
            List<String> cids = new ArrayList<>(group.getJSONArray("cids").toJavaList(String.class));
            // As RebalanceImpl does.
            Collections.sort(queues);
            Collections.sort(cids);
            JSONObject out = new JSONObject(true);
            for (Map.Entry<String, AllocateMessageQueueStrategy> strategy : strategies.entrySet()) {
                List<String> share = new ArrayList<>();
                for (MessageQueue queue : strategy.getValue().allocate("g", group.getString("cid"), queues, cids)) {
                    share.add(queue.getTopic() + "@" + queue.getBrokerName() + "@" + queue.getQueueId());
                }
                out.put(strategy.getKey(), share);
            }
            Rig.print(out);
        }
        Rig.end();
    }
}
