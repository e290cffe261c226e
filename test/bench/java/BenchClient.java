import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Measures the Java DefaultMQProducer. The task is JSON in the first argument, the result one line of JSON; see Task.ts. */
public final class BenchClient {
    private static final int MOST = 1 << 20;

    /** A phase says when it is over, and counts. Requests begin on one thread and end on any. */
    private static final class Phase {
        final long most;
        final long deadline;
        final long[] latencies = new long[MOST];
        long begun;
        int answered;
        long messages;
        int failed;
        String firstFailure;

        Phase(long most, double seconds) {
            this.most = most;
            this.deadline = System.nanoTime() + (long) (seconds * 1e9);
        }

        boolean begin(int size) {
            if (System.nanoTime() >= deadline || begun >= most) {
                return false;
            }
            begun += size;
            return true;
        }

        synchronized void done(long began, int size, Throwable failure) {
            if (failure != null) {
                failed++;
                firstFailure = firstFailure == null ? failure.toString() : firstFailure;
                return;
            }
            latencies[answered++ & (MOST - 1)] = System.nanoTime() - began;
            messages += size;
        }

        double percentile(double share) {
            int count = Math.min(MOST, answered);
            long[] sorted = Arrays.copyOf(latencies, count);
            Arrays.sort(sorted);
            return count == 0 ? 0 : sorted[(int) Math.min(count - 1, Math.floor(count * share))] / 1e6;
        }
    }

    private static DefaultMQProducer producer;
    private static String topic;
    private static int batchSize;
    private static int slice;

    public static void main(String[] args) throws Exception {
        JSONObject task = JSON.parseObject(args[0]);
        topic = task.getString("topic");
        batchSize = task.getIntValue("batchSize");
        slice = task.getIntValue("slice");
        String kind = task.getString("kind");
        int inFlight = task.getIntValue("inFlight");
        int bodySize = task.getIntValue("bodySize");

        producer = new DefaultMQProducer("java-bench");
        producer.setNamesrvAddr(task.getString("address"));
        producer.setVipChannelEnabled(false);
        producer.setSendMsgTimeout(10_000);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.setAutoBatch(kind.equals("auto"));
        long start = System.nanoTime();
        producer.start();
        long started = System.nanoTime();
        producer.send(new Message(topic, new byte[bodySize]));
        if (task.getDoubleValue("seconds") == 0) {
            System.out.printf("{\"startMillis\":%f,\"startToFirstAckMillis\":%f}%n",
                (started - start) / 1e6, (System.nanoTime() - start) / 1e6);
            System.out.flush();
            Runtime.getRuntime().halt(0);
        }

        Phase warming = new Phase(task.getLongValue("warmUp"), task.getDoubleValue("warmUpSeconds"));
        run("send", 256, Math.min(bodySize, 1024), warming);
        Phase ramp = new Phase(Long.MAX_VALUE, task.getDoubleValue("rampSeconds"));
        run(kind, inFlight, bodySize, ramp);

        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        System.out.println("measuring");
        System.out.flush();
        long cpu = system.getProcessCpuTime();
        long from = System.nanoTime();
        Phase measured = new Phase(Long.MAX_VALUE, task.getDoubleValue("seconds"));
        run(kind, inFlight, bodySize, measured);

        JSONObject out = new JSONObject(true);
        out.put("seconds", (System.nanoTime() - from) / 1e9);
        out.put("cpuSeconds", (system.getProcessCpuTime() - cpu) / 1e9);
        out.put("messages", measured.messages);
        out.put("p50Millis", measured.percentile(0.5));
        out.put("p99Millis", measured.percentile(0.99));
        out.put("rssMiB", rssMiB());
        out.put("failed", warming.failed + ramp.failed + measured.failed);
        out.put("total", 1 + warming.messages + ramp.messages + measured.messages);
        for (Phase phase : new Phase[] {warming, ramp, measured}) {
            if (phase.firstFailure != null) {
                out.putIfAbsent("firstFailure", phase.firstFailure);
            }
        }
        System.out.println(JSON.toJSONString(out));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static void run(String kind, int inFlight, int bodySize, Phase phase) throws Exception {
        byte[] body = new byte[bodySize];
        if (kind.equals("oneway")) {
            oneway(body, phase);
        } else if (inFlight == 1) {
            while (phase.begin(1)) {
                long began = System.nanoTime();
                Throwable failure = null;
                try {
                    producer.send(new Message(topic, body));
                } catch (Exception thrown) {
                    failure = thrown;
                }
                phase.done(began, 1, failure);
            }
        } else {
            withCallbacks(kind.equals("batch") ? batchSize : 1, kind.equals("batch"), inFlight, body, phase);
        }
    }

    /** Beyond 65,535 one-way messages under way the client dead-locks: each slice ends with one that is acknowledged. */
    private static void oneway(byte[] body, Phase phase) throws Exception {
        boolean more = true;
        while (more) {
            for (int i = 0; i < slice && (more = phase.begin(1)); i++) {
                long began = System.nanoTime();
                producer.sendOneway(new Message(topic, body));
                phase.done(began, 1, null);
            }
            long began = System.nanoTime();
            producer.send(new Message(topic, body));
            phase.done(began, 1, null);
        }
    }

    private static void withCallbacks(int size, boolean batch, int inFlight, byte[] body, Phase phase) throws Exception {
        Semaphore slots = new Semaphore(inFlight);
        while (true) {
            slots.acquire();
            if (!phase.begin(size)) {
                slots.release();
                break;
            }
            final long began = System.nanoTime();
            // A send can throw and call back both; the slot is given back once.
            final AtomicBoolean ended = new AtomicBoolean();
            SendCallback callback = new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    end(null);
                }

                @Override
                public void onException(Throwable failure) {
                    end(failure);
                }

                private void end(Throwable failure) {
                    if (ended.compareAndSet(false, true)) {
                        phase.done(began, size, failure);
                        slots.release();
                    }
                }
            };
            try {
                if (batch) {
                    List<Message> messages = new ArrayList<>(size);
                    for (int i = 0; i < size; i++) {
                        messages.add(new Message(topic, body));
                    }
                    producer.send(messages, callback);
                } else {
                    producer.send(new Message(topic, body), callback);
                }
            } catch (Exception failure) {
                callback.onException(failure);
            }
        }
        if (!slots.tryAcquire(inFlight, 60, TimeUnit.SECONDS)) {
            throw new IllegalStateException(slots.availablePermits() + " of " + inFlight + " slots came back in 60 s");
        }
    }

    /** Resident memory by /proc, in kB there; 0 where there is no /proc. */
    private static double rssMiB() {
        try {
            for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
                if (line.startsWith("VmRSS:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
                }
            }
        } catch (Exception unreadable) {
            // no /proc
        }
        return 0;
    }
}
