import { gradient, loss, softmax } from "../build/hey-api";
import { client } from "../build/hey-api/client.gen";
import { batch, layer, print, url } from "./article";

client.setConfig({ baseUrl: url });
const softmaxed = await softmax({ body: { ...batch, top_k: 1 } });
const lost = await loss({ body: { ...batch, targets: [1] } });
const stepped = await gradient({ body: layer });
const refused = await softmax({ body: { ...batch, top_k: 4 } });

print({
  probabilities: softmaxed.data?.probabilities,
  predictions: softmaxed.data?.predictions,
  top_k_classes: softmaxed.data?.top_k_classes,
  loss: lost.data?.loss,
  logits_gradient: stepped.data?.logits_gradient,
  updated_weights: stepped.data?.updated_weights,
  refusal: refused.error?.detail,
});
