import com.alibaba.fastjson.JSONObject;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Measures DefaultMQProducer: warm-up sends, then measured sends, with a bound on the sends in flight, and prints one
 * JSON line.
 *
 * <p>Request: namesrvAddr, topic, mode ("async": send with a callback; "sync": one blocking send after the other),
 * inFlight, bodySize, warmUp, count, sendTimeoutMillis.
 */
public final class JavaBench {
    private static final AtomicInteger FAILED = new AtomicInteger();
    private static final AtomicReference<String> FIRST_FAILURE = new AtomicReference<>();

    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        byte[] body = new byte[request.getIntValue("bodySize")];
        new Random(1).nextBytes(body);
        String topic = request.getString("topic");
        int warmUp = request.getIntValue("warmUp");
        int count = request.getIntValue("count");

        DefaultMQProducer producer = new DefaultMQProducer("java-bench");
        Rig.configure(producer, request, "bench");
        producer.setSendMsgTimeout(request.getIntValue("sendTimeoutMillis"));
        // Random bodies do not compress; neither side spends time on trying.
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        long start = System.nanoTime();
        producer.start();
        producer.send(new Message(topic, body));
        long firstAck = System.nanoTime();
        long jvmStart = ManagementFactory.getRuntimeMXBean().getStartTime();
        long jvmStartToFirstAck = System.currentTimeMillis() - jvmStart;

        boolean async = request.getString("mode").equals("async");
        int inFlight = async ? request.getIntValue("inFlight") : 1;
        if (warmUp > 0) {
            run(producer, topic, body, warmUp, async, inFlight, new long[warmUp]);
        }
        FAILED.set(0);
        FIRST_FAILURE.set(null);

        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long[] latencies = new long[count];
        long cpu = system.getProcessCpuTime();
        long from = System.nanoTime();
        run(producer, topic, body, count, async, inFlight, latencies);
        double seconds = (System.nanoTime() - from) / 1e9;
        double cpuSeconds = (system.getProcessCpuTime() - cpu) / 1e9;
        Arrays.sort(latencies);

        JSONObject out = new JSONObject(true);
        out.put("messagesPerSecond", count / seconds);
        out.put("seconds", seconds);
        out.put("cpuSeconds", cpuSeconds);
        out.put("p50Millis", percentile(latencies, 0.50));
        out.put("p99Millis", percentile(latencies, 0.99));
        out.put("maxMillis", percentile(latencies, 1));
        out.put("failed", FAILED.get());
        out.put("firstFailure", FIRST_FAILURE.get());
        out.put("rssBytes", rssBytes());
        out.put("startToFirstAckMillis", (firstAck - start) / 1e6);
        out.put("jvmStartToFirstAckMillis", jvmStartToFirstAck);
        Rig.print(out);
        producer.shutdown();
        Rig.end();
    }

    private static void run(
        DefaultMQProducer producer, String topic, byte[] body, int count, boolean async, int inFlight, long[] latencies)
        throws Exception {
        // Java blocks for good with more than 65535 asynchronous requests waiting, so the bound is the bench's own.
        Semaphore slots = new Semaphore(inFlight);
        for (int i = 0; i < count; i++) {
            final int index = i;
            Message message = new Message(topic, body);
            if (!async) {
                long sent = System.nanoTime();
                try {
                    producer.send(message);
                } catch (Exception failure) {
                    failed(failure);
                }
                latencies[index] = System.nanoTime() - sent;
                continue;
            }
            slots.acquire();
            final long sent = System.nanoTime();
            // A send can throw and call back both; the slot is given back once.
            final AtomicInteger ended = new AtomicInteger();
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
                    if (ended.getAndIncrement() == 0) {
                        latencies[index] = System.nanoTime() - sent;
                        if (failure != null) {
                            failed(failure);
                        }
                        slots.release();
                    }
                }
            };
            try {
                producer.send(message, callback);
            } catch (Exception failure) {
                callback.onException(failure);
            }
        }
        if (!slots.tryAcquire(inFlight, 60, TimeUnit.SECONDS)) {
            throw new IllegalStateException(slots.availablePermits() + " of " + inFlight + " slots came back in 60 s");
        }
    }

    private static void failed(Throwable failure) {
        FAILED.incrementAndGet();
        FIRST_FAILURE.compareAndSet(null, failure.toString());
    }

    private static double percentile(long[] sorted, double share) {
        return sorted.length == 0 ? 0 : sorted[(int) Math.min(sorted.length - 1, Math.floor(sorted.length * share))] / 1e6;
    }

    /** Resident memory by /proc, in kB there; 0 where there is no /proc. */
    private static long rssBytes() {
        try {
            for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
                if (line.startsWith("VmRSS:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
                }
            }
        } catch (Exception unreadable) {
            // no /proc
        }
        return 0;
    }
}
