import { Configuration, OperationsApi, ResponseError, type Problem } from "../build/typescript-fetch";
import { batch, classified, layer, print, url } from "./article";

const api = new OperationsApi(new Configuration({ basePath: url }));
const { learning_rate: learningRate, ...sample } = layer;
const softmaxed = await api.softmax({ softmaxRequest: { ...batch, topK: 1 } });
const lost = await api.loss({ lossRequest: { ...batch, targets: [1] } });
const stepped = await api.gradient({ gradientRequest: { ...sample, learningRate } });
const calibrated = await api.calibrate({ calibrateRequest: classified });
const refusal = await api.softmax({ softmaxRequest: { ...batch, topK: 4 } }).then(
  () => undefined,
  async (error: unknown) =>
    error instanceof ResponseError ? ((await error.response.json()) as Problem).detail : undefined,
);

print({
  probabilities: softmaxed.probabilities,
  predictions: softmaxed.predictions,
  top_k_classes: softmaxed.topKClasses,
  loss: lost.loss,
  logits_gradient: stepped.logitsGradient,
  updated_weights: stepped.updatedWeights,
  temperature: calibrated.temperature,
  at_bound: calibrated.atBound,
  loss_before: calibrated.lossBefore,
  refusal,
});
