// The worker: it reads files, asks the service and keeps the arrays, so that the page stays free to move.

import { setKey } from "../key.js";
import { makeRequest, measuresOf, requestFor, resultsOf, send } from "./evaluate.js";
import { ordered, paint, rowsOfLine } from "./heatmap.js";
import { madeUp } from "./made-up.js";
import { readDataset } from "./read.js";
import { className, confusion, perClass, rowName, worstRows } from "./summary.js";
import { writeResults } from "./write.js";

const MOST_BARS = 10;

let dataset;
let results;
let order;
let running = new AbortController();

/** Long tasks. Each cancels the one before it. */
const tasks = { load, calibrate, cancel: () => {} };

/** Short questions about the results. They cancel nothing. */
const questions = { picture, row, save, body: () => requestFor(dataset).body };

onmessage = async ({ data: { id, name, argument, key } }) => {
  setKey(key);
  let signal;
  if (tasks[name]) {
    running.abort();
    running = new AbortController();
    signal = running.signal;
  }
  try {
    const tell = (progress) => postMessage({ id, progress });
    postMessage({ id, result: await (tasks[name] ?? questions[name])(argument, tell, signal) });
  } catch (error) {
    const { message, field, problem } = error;
    postMessage({ id, error: signal?.aborted ? {} : { message, field, problem } });
  }
};

/** Read sources (none for made-up rows), evaluate them and return what the page shows. */
async function load({ logits, labels, base }, tell, signal) {
  // Other messages, such as a request to cancel, arrive while the worker pauses.
  const pause = async (done, total) => {
    tell({ text: "Reading", done, total });
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
  };
  await pause();
  const next = logits ? await readDataset(logits, labels, pause) : madeUp();
  signal.throwIfAborted();
  next.base = base;
  const evaluation = await evaluate(next, 1, tell, signal);
  dataset = next;
  results = evaluation.results;
  tell({ text: "Counting" });
  const { rows, classes, labels: known, measured } = results;
  return {
    ...evaluation.figures,
    rows,
    classes,
    measured,
    hasLabels: known !== undefined,
    worst: worstRows(results),
    ...(known && { confusion: confusion(results), perClass: perClass(results) }),
  };
}

async function evaluate(next, temperature, tell, signal) {
  const request = requestFor(next, { temperature });
  tell({ text: "Waiting for the service" });
  const received = (done, total) => tell({ text: "Receiving", done, total });
  const { arrays, timing, size } = await send(request, { received, signal });
  const { url, contentType, file } = request;
  return {
    results: resultsOf(next, arrays),
    figures: {
      temperature,
      ...(next.targets && measuresOf(next, arrays)),
      request: { url, contentType, file },
      reply: Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, describe(array)])),
      timing,
      size,
    },
  };
}

const describe = ({ shape, values }) => (shape.length ? `shape (${shape.join(", ")})` : values[0]);

/** Calibrate: fit the temperature, and return the figures at it. */
async function calibrate(_, tell, signal) {
  tell({ text: "Fitting the temperature" });
  const { arrays } = await send(makeRequest(dataset, "calibrate", { outputs: "temperature,at_bound" }), { signal });
  const { figures } = await evaluate(dataset, arrays.temperature.values[0], tell, signal);
  return { ...figures, isAtBound: arrays.at_bound.values[0] === 1 };
}

/** Paint the heat map in an order. */
function picture({ orderName, width, height, isDark }) {
  order = ordered(results, orderName);
  return paint(results, order, { width, height, isDark });
}

/** Return one row: its names, its measure and its most probable classes. `line` is a line of the painted heat map. */
function row({ row: wanted, line, height }) {
  const { rows, classes, probabilities, predictions, labels, measure } = results;
  const at = wanted ?? order[rowsOfLine(line, rows, height)[0]];
  const own = Array.from(probabilities.subarray(at * classes, (at + 1) * classes), (share, i) => ({ share, i }));
  const most = classes > MOST_BARS ? own.sort((a, b) => b.share - a.share || a.i - b.i).slice(0, MOST_BARS) : own;
  return {
    row: at,
    name: rowName(results, at),
    rows,
    measure: measure[at],
    shown: most.map(({ share, i }) => ({
      share,
      name: className(results, i),
      isChosen: i === predictions[at],
      isRight: i === labels?.[at],
    })),
  };
}

/** Return the results as a file. */
function save(format) {
  return writeResults(results, format);
}
