// One's data and the requests that it makes: JSON from JSON and CSV, NumPy's files from a .npy file.

import { writeVector } from "./npy.js";
import { writeArchive } from "./npz.js";

/** The body of a request and how it is sent: { url, body, contentType, file }. Parameters go where the format has them. */
export function requestFor(data, operation, parameters, base) {
  const url = new URL(operation, base);
  if (!data.npy) {
    const fields = { logits: data.rows, targets: data.labels, ...parameters };
    return {
      url: url.href,
      body: JSON.stringify(fields),
      contentType: "application/json",
      file: "request.json",
    };
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  // commas between outputs need no escaping, and read better without
  const href = url.href.replaceAll("%2C", ",");
  if (!data.labels)
    return {
      url: href,
      body: data.npy,
      contentType: "application/x-npy",
      file: "logits.npy",
    };
  data.archive ??= writeArchive({
    logits: data.npy,
    targets: writeVector(data.labels),
  });
  return {
    url: href,
    body: data.archive,
    contentType: "application/x-npz",
    file: "request.npz",
  };
}

/** The reply in flat arrays, a row for each sample, whatever batch axes it has. */
export function flatten(reply, data) {
  const flat = (value) => [value].flat(Infinity);
  let innermost = reply.probabilities;
  while (Array.isArray(innermost[0])) innermost = innermost[0];
  const predictions = Int32Array.from(flat(reply.predictions));
  const labels = data.labels && flat(data.labels);
  return {
    rows: predictions.length,
    classes: innermost.length,
    probabilities: Float64Array.from(flat(reply.probabilities), Number),
    predictions,
    // class probabilities as targets have no one right class
    labels: labels?.length === predictions.length ? Int32Array.from(labels) : undefined,
    measure: Float64Array.from(flat(reply.row_losses ?? reply.entropy), Number),
    measured: reply.row_losses ? "loss" : "entropy",
    loss: reply.loss,
    accuracy: reply.accuracy,
  };
}

/** Made-up rows of a classifier that is often right and always too sure: the same ones every time. */
export function madeUp(rows, classes) {
  let seed = 7;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const labels = Array.from({ length: rows }, () => Math.floor(random() * classes));
  const logits = labels.map((label) =>
    Array.from({ length: classes }, (_, i) => {
      const neighbour = i === (label + 1) % classes ? 1.2 : 0;
      return Number((3 * (normal() + neighbour + (i === label ? 2.4 : 0))).toFixed(3));
    }),
  );
  return { rows: logits, labels };
}
