import createClient from "openapi-fetch";

import type { paths } from "../build/openapi-typescript/schema";
import { batch, classified, layer, print, url } from "./article";

const client = createClient<paths>({ baseUrl: url });
const softmax = await client.POST("/softmax", { body: { ...batch, top_k: 1 } });
const loss = await client.POST("/loss", { body: { ...batch, targets: [1] } });
const gradient = await client.POST("/gradient", { body: layer });
const calibrate = await client.POST("/calibrate", { body: classified });
const refusal = await client.POST("/softmax", { body: { ...batch, top_k: 4 } });

// @ts-expect-error a parameter that is not a number
export const untyped = () => client.POST("/softmax", { body: { ...batch, temperature: "2" } });

print({
  probabilities: softmax.data?.probabilities,
  predictions: softmax.data?.predictions,
  top_k_classes: softmax.data?.top_k_classes,
  loss: loss.data?.loss,
  logits_gradient: gradient.data?.logits_gradient,
  updated_weights: gradient.data?.updated_weights,
  temperature: calibrate.data?.temperature,
  at_bound: calibrate.data?.at_bound,
  loss_before: calibrate.data?.loss_before,
  refusal: refusal.error?.detail,
});
