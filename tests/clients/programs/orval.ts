import axios from "axios";

import { calibrate, gradient, loss, softmax, type Problem } from "../build/orval/client";
import { batch, classified, layer, print, url } from "./article";

axios.defaults.baseURL = url;
const softmaxed = await softmax({ ...batch, top_k: 1 });
const lost = await loss({ ...batch, targets: [1] });
const stepped = await gradient(layer);
const calibrated = await calibrate(classified);
const refusal = await softmax({ ...batch, top_k: 4 }).then(
  () => undefined,
  (error: unknown) => (axios.isAxiosError<Problem>(error) ? error.response?.data.detail : undefined),
);

print({
  probabilities: softmaxed.data.probabilities,
  predictions: softmaxed.data.predictions,
  top_k_classes: softmaxed.data.top_k_classes,
  loss: lost.data.loss,
  logits_gradient: stepped.data.logits_gradient,
  updated_weights: stepped.data.updated_weights,
  temperature: calibrated.data.temperature,
  at_bound: calibrated.data.at_bound,
  loss_before: calibrated.data.loss_before,
  refusal,
});
