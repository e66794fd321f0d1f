// The three operations, asked with the types that openapi-typescript makes of the OpenAPI document.
import type { components, operations } from "./build/schema.js";

type Name = "softmax" | "loss" | "gradient";
type Asked<N extends Name> = operations[N]["requestBody"]["content"]["application/json"];
type Answered<N extends Name> = operations[N]["responses"][200]["content"]["application/json"];
type Problem = components["schemas"]["Problem"];

const [url = "http://localhost:8000"] = process.argv.slice(2);

async function ask<N extends Name>(name: N, asked: Asked<N>): Promise<Answered<N>> {
  const reply = await fetch(`${url}/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(asked),
  });
  if (!reply.ok) throw new Error(((await reply.json()) as Problem).detail);
  return (await reply.json()) as Answered<N>;
}

// what the document forbids does not compile
// @ts-expect-error a parameter that is no number
export const untyped: Asked<"softmax"> = { logits: [2, 3, 4], temperature: "2" };
// @ts-expect-error a field of another operation
export const unknown: Asked<"softmax"> = { logits: [2, 3, 4], targets: 1 };
// @ts-expect-error a string that excludes no class
export const excluded: Asked<"softmax"> = { logits: [2, "Infinity", 4] };

const softmax = await ask("softmax", { logits: [[2, 3, 4]], top_k: 1 });
const loss = await ask("loss", { logits: [[2, 3, 4]], targets: [1] });
const masked = await ask("loss", { logits: [2, "-Infinity", 4], targets: 1 });
const layer = { inputs: [[1, 2]], weights: [[0, 1], [1, 1], [2, 1]], bias: [0, 0, 0] };
const gradient = await ask("gradient", { ...layer, targets: [1], learning_rate: 1 });
const refusal = await ask("softmax", { logits: [2, 3, 4], top_k: 4 }).catch((error: Error) => error.message);

const weights: (number | components["schemas"]["NonFinite"])[][] | undefined = gradient.updated_weights;

console.log(
  JSON.stringify({
    probabilities: softmax.probabilities,
    top_k_classes: softmax.top_k_classes,
    loss: loss.loss,
    infinite: masked.loss,
    logits_gradient: gradient.logits_gradient,
    updated_weights: weights,
    refusal,
  }),
);
