import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/**
 * Runs another main class and ends this process as soon as standard input closes: a server never outlives the test
 * process that started it, even when that one is killed.
 */
public final class Attached {
    public static void main(String[] args) throws Exception {
        Thread watch = new Thread(() -> {
            try {
                InputStream in = System.in;
                while (in.read() >= 0) {
                    // the parent says nothing
                }
            } catch (Exception closed) {
                // the same as an end of input
            }
            Runtime.getRuntime().halt(137);
        }, "attached");
        watch.setDaemon(true);
        watch.start();
        String[] rest = Arrays.copyOfRange(args, 1, args.length);
        try {
            Class.forName(args[0]).getMethod("main", String[].class).invoke(null, (Object) rest);
        } catch (InvocationTargetException failure) {
            // Without an exit here, the threads of a client would keep a failed program alive.
            failure.getCause().printStackTrace();
            System.exit(1);
        }
    }
}
