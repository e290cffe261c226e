import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/** Makes filters as a broker does, and evaluates each for each message: T, F, N for unknown, X where it throws. */
public final class JavaFilter {
    public static void main(String[] args) throws Exception {
        JSONObject request = Rig.request(args);
        JSONArray messages = request.getJSONArray("messages");
        for (Object filter : request.getJSONArray("filters")) {
            JSONObject out = new JSONObject(true);
            try {
                Expression expression = FilterFactory.INSTANCE.get("SQL92").compile((String) filter);
                StringBuilder results = new StringBuilder();
                for (Object message : messages) {
                    results.append(evaluate(expression, (JSONObject) message));
                }
                out.put("results", results.toString());
            } catch (Exception e) {
                out.put("error", e.getMessage());
            }
            Rig.print(out);
        }
        Rig.end();
    }

    private static char evaluate(Expression expression, JSONObject message) {
        Map<String, Object> properties = new HashMap<>();
        message.forEach(properties::put);
        try {
            Object result = expression.evaluate(new EvaluationContext() {
                @Override
                public Object get(String name) {
                    return properties.get(name);
                }

                @Override
                public Map<String, Object> keyValues() {
                    return properties;
                }
            });
            return result == null ? 'N' : Boolean.TRUE.equals(result) ? 'T' : 'F';
        } catch (Throwable e) {
            return 'X';
        }
    }

    private JavaFilter() {
    }
}
