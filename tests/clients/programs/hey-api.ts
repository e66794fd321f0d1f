import { calibrate, gradient, loss, softmax } from "../build/hey-api";
import { client } from "../build/hey-api/client.gen";
import { batch, classified, layer, print, url } from "./article";

client.setConfig({ baseUrl: url });
const softmaxed = await softmax({ body: { ...batch, top_k: 1 } });
const lost = await loss({ body: { ...batch, targets: [1] } });
const stepped = await gradient({ body: layer });
const calibrated = await calibrate({ body: classified });
const refused = await softmax({ body: { ...batch, top_k: 4 } });

print({
  probabilities: softmaxed.data?.probabilities,
  predictions: softmaxed.data?.predictions,
  top_k_classes: softmaxed.data?.top_k_classes,
  loss: lost.data?.loss,
  logits_gradient: stepped.data?.logits_gradient,
  updated_weights: stepped.data?.updated_weights,
  temperature: calibrated.data?.temperature,
  at_bound: calibrated.data?.at_bound,
  loss_before: calibrated.data?.loss_before,
  refusal: refused.error?.detail,
});
