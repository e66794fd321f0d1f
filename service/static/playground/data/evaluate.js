// Requests about a dataset, and their replies as arrays.

import { post } from "../api.js";
import { readNpy } from "./npy.js";
import { readArchive, writeArchive } from "./zip.js";

const NPZ = "application/x-npz";
const EVALUATION = ["loss", "row_losses", "accuracy", "probabilities", "predictions"];
const PREDICTION = ["probabilities", "predictions", "entropy"];

/** Return the request that evaluates a dataset: { url, body, contentType, file }. */
export function requestFor(dataset, parameters = {}) {
  const [operation, outputs] = dataset.targets ? ["loss", EVALUATION] : ["softmax", PREDICTION];
  return makeRequest(dataset, operation, { ...parameters, outputs: outputs.join(",") });
}

/** Return the request for an operation on a dataset. */
export function makeRequest(dataset, operation, parameters) {
  const { logits, targets, base } = dataset;
  const url = new URL(operation, base);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  dataset.body ??= writeArchive(targets ? { logits, targets } : { logits });
  // A comma needs no escape in a query, and is easier to read.
  return { url: url.href.replaceAll("%2C", ","), body: dataset.body, contentType: NPZ, file: "request.npz" };
}

/** Send a request and return { arrays, timing, size }; `arrays` has { shape, values } by output name. */
export async function send({ url, body, contentType }, { received, signal }) {
  const { content, timing } = await post(url, body, contentType, { accept: NPZ, received, signal });
  const members = readArchive(await content.arrayBuffer());
  const read = async ([name, member]) => [name.replace(/\.npy$/, ""), readNpy(await member())];
  return {
    arrays: Object.fromEntries(await Promise.all([...members].map(read))),
    timing,
    size: content.size,
  };
}

/** Return the results of an evaluation, one row for each sample, whatever batch axes the logits have. */
export function resultsOf(dataset, arrays) {
  const { probabilities, predictions, row_losses, entropy } = arrays;
  const rows = predictions.values.length;
  const labels = dataset.targets && readNpy(dataset.targets).values;
  return {
    rows,
    classes: probabilities.shape.at(-1),
    probabilities: probabilities.values,
    predictions: predictions.values,
    // Class probabilities as targets have no single right class.
    labels: labels?.length === rows ? labels : undefined,
    measure: (row_losses ?? entropy).values,
    measured: row_losses ? "loss" : "entropy",
    classNames: dataset.classNames,
    rowNames: dataset.rowNames,
  };
}
