// Requests about a dataset, and their replies as arrays.

import { post } from "../api.js";
import { readNpy, readShape } from "./npy.js";
import { readArchive, writeArchive } from "./zip.js";

const NPZ = "application/x-npz";
const MEASURES = ["loss", "accuracy", "top_k_accuracy", "perplexity", "brier_score", "expected_calibration_error"];
const BINS = ["bin_counts", "bin_confidences", "bin_accuracies"];
const EVALUATION = [...MEASURES, ...BINS, "row_losses", "probabilities", "predictions"];
const PREDICTION = ["probabilities", "predictions", "entropy"];
const TOP_K = 5;

/** Return the request that evaluates a dataset: { url, body, contentType, file }. */
export function requestFor(dataset, parameters = {}) {
  if (!dataset.targets) return makeRequest(dataset, "softmax", { ...parameters, outputs: PREDICTION });
  return makeRequest(dataset, "loss", { ...parameters, top_k: topK(dataset), outputs: EVALUATION });
}

/** Return how many classes top_k_accuracy looks at: 5, or all of fewer classes. */
const topK = ({ classes }) => Math.max(1, Math.min(TOP_K, classes || 1));

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
  // Class probabilities as targets have no single right class.
  const hasLabels = dataset.targets && sizeOf(readShape(dataset.targets)) === rows;
  return {
    rows,
    classes: probabilities.shape.at(-1),
    probabilities: probabilities.values,
    predictions: predictions.values,
    labels: hasLabels ? readNpy(dataset.targets).values : undefined,
    measure: (row_losses ?? entropy).values,
    measured: row_losses ? "loss" : "entropy",
    classNames: dataset.classNames,
    rowNames: dataset.rowNames,
  };
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** Return the measures of an evaluation with targets: scalars by output name, and the bins of confidence. */
export function measuresOf(dataset, arrays) {
  const [counts, confidences, accuracies] = BINS.map((name) => arrays[name].values);
  return {
    ...Object.fromEntries(MEASURES.map((name) => [name, arrays[name].values[0]])),
    topK: topK(dataset),
    bins: Array.from(counts, (rows, at) => ({ rows, confidence: confidences[at], accuracy: accuracies[at] })),
  };
}
