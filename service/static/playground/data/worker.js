// Reading, asking and writing of many rows, beside the page, which stays free to move.

import { post } from "../api.js";
import { setKey } from "../key.js";
import { flatten, madeUp, requestFor } from "./dataset.js";
import { fitTemperature } from "./fit.js";
import { readLabels, readLogits } from "./read.js";
import { writeCsv, writeJson } from "./write.js";

const EVALUATION = "loss,row_losses,accuracy,probabilities,predictions";
const PREDICTION = "probabilities,predictions,entropy";

let data;
let results;

let running = new AbortController();

/** What the page may ask for by name. Each ends the one before; to cancel is to do nothing. */
const tasks = { load, fit, body, write, cancel: () => {} };

onmessage = async ({ data: { id, task, argument, key } }) => {
  setKey(key);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const tell = (progress) => postMessage({ id, progress });
  try {
    postMessage({ id, result: await tasks[task](argument, tell, signal) });
  } catch (error) {
    const { message, field, problem } = error;
    postMessage({ id, error: signal.aborted ? {} : { message, field, problem } });
  }
};

/** Reads logits and labels (a File, a Blob, or nothing for rows that are made up) and evaluates them. */
async function load({ logits, labels, base }, tell, signal) {
  tell({ text: "Reading" });
  data = undefined;
  const next = logits ? await readLogits(logits) : madeUp(2000, 10);
  if (labels) next.labels = await readLabels(labels);
  next.base = base;
  results = await evaluate(next, 1, tell, signal);
  data = next;
  return results;
}

async function evaluate(next, temperature, tell, signal) {
  const [operation, outputs] = next.labels ? ["loss", EVALUATION] : ["softmax", PREDICTION];
  const request = requestFor(next, operation, parameters(next, temperature, outputs), next.base);
  tell({ text: "Waiting for the service" });
  const { content, timing } = await post(request.url, request.body, request.contentType, {
    received: (done, total) => tell({ text: "Receiving", done, total }),
    signal,
  });
  const reply = JSON.parse(await content.text());
  tell({ text: "Drawing" });
  const { url, contentType, file } = request;
  const names = Object.fromEntries(Object.entries(reply).map(([name, value]) => [name, shape(value)]));
  return {
    ...flatten(reply, next),
    temperature,
    timing,
    size: content.size,
    names,
    request: { url, contentType, file },
  };
}

/** Parameters as the format has them: a list of outputs in JSON, commas in a query string. */
const parameters = (next, temperature, outputs) => ({
  temperature,
  outputs: next.npy ? outputs : outputs.split(","),
});

function shape(value) {
  const sizes = [];
  for (let inside = value; Array.isArray(inside); inside = inside[0]) sizes.push(inside.length);
  return sizes.length ? `shape (${sizes.join(", ")})` : value;
}

/** Fits the temperature; the results at it. */
async function fit(_, tell, signal) {
  let asked = 0;
  const temperature = await fitTemperature(async (at) => {
    asked += 1;
    tell({
      text: `Fitting: request ${asked}, T = ${at.toFixed(4)}`,
      done: asked,
      total: 20,
    });
    const request = requestFor(data, "gradient", parameters(data, at, "temperature_gradient"), data.base);
    const { content } = await post(request.url, request.body, request.contentType, { signal });
    return Number(JSON.parse(await content.text()).temperature_gradient);
  });
  return evaluate(data, temperature, tell, signal);
}

/** The body of the request, to be sent from elsewhere. */
function body() {
  const [operation, outputs] = data.labels ? ["loss", EVALUATION] : ["softmax", PREDICTION];
  return new Blob([requestFor(data, operation, parameters(data, 1, outputs), data.base).body]);
}

/** The results as a file. */
function write(format) {
  return format === "csv" ? writeCsv(results) : writeJson(results);
}
