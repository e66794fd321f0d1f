import com.google.gson.GsonBuilder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.OperationsApi;
import org.openapitools.client.model.CalibrateReply;
import org.openapitools.client.model.CalibrateRequest;
import org.openapitools.client.model.GradientReply;
import org.openapitools.client.model.GradientRequest;
import org.openapitools.client.model.LossReply;
import org.openapitools.client.model.LossRequest;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.SoftmaxReply;
import org.openapitools.client.model.SoftmaxRequest;

/** The operations, through the Java client that openapi-generator makes. */
public final class Article {
    private Article() {}

    public static void main(String[] arguments) throws Exception {
        OperationsApi api = new OperationsApi(new ApiClient().setBasePath(arguments[0]));

        SoftmaxRequest batch = new SoftmaxRequest().logits(List.of(List.of(2.0, 3.0, 4.0))).topK(1L);
        SoftmaxReply softmaxed = api.softmax(batch);

        LossReply lost = api.loss(new LossRequest().logits(List.of(List.of(2.0, 3.0, 4.0))).targets(List.of(1L)));

        GradientRequest layer = new GradientRequest()
            .inputs(List.of(List.of(1.0, 2.0)))
            .weights(List.of(List.of(0.0, 1.0), List.of(1.0, 1.0), List.of(2.0, 1.0)))
            .bias(List.of(0.0, 0.0, 0.0))
            .targets(List.of(1L))
            .learningRate(1.0);
        GradientReply stepped = api.gradient(layer);

        CalibrateRequest classified = new CalibrateRequest()
            .logits(List.of(List.of(2.0, 3.0, 4.0), List.of(3.0, 1.0, -3.0), List.of(2.0, 3.0, 4.0)))
            .targets(List.of(1L, 0L, 2L));
        CalibrateReply calibrated = api.calibrate(classified);

        String refusal = null;
        try {
            api.softmax(batch.topK(4L));
        } catch (ApiException refused) {
            refusal = Problem.fromJson(refused.getResponseBody()).getDetail();
        }

        Map<String, Object> results = new LinkedHashMap<>();
        results.put("probabilities", softmaxed.getProbabilities());
        results.put("predictions", softmaxed.getPredictions());
        results.put("top_k_classes", softmaxed.getTopKClasses());
        results.put("loss", lost.getLoss());
        results.put("logits_gradient", stepped.getLogitsGradient());
        results.put("updated_weights", stepped.getUpdatedWeights());
        results.put("temperature", calibrated.getTemperature());
        results.put("at_bound", calibrated.getAtBound());
        results.put("loss_before", calibrated.getLossBefore());
        results.put("refusal", refusal);
        System.out.println(new GsonBuilder().disableHtmlEscaping().create().toJson(results));
    }
}
