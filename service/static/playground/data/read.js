// Files and pasted texts as a dataset: the arrays that go to the service, and the names that stay on the page.

import { readContent } from "./content.js";
import { readLabelTable, readTable } from "./csv.js";
import { encodeLabels } from "./labels.js";
import { flattenNested } from "./nested.js";
import { readNpy, readShape, writeNpy } from "./npy.js";
import { Unreadable } from "./unreadable.js";
import { readArchive } from "./zip.js";

const LOGITS = ["logits", "scores"];
const LABELS = ["targets", "labels", "target", "label", "y", "y_true"];

/**
 * Return { logits, classes, targets, classNames, rowNames } of the sources: .npy files as buffers, the number of classes,
 * and names where the text has them. Each source is a File, or a Blob of text. Labels beside the logits are used unless there are separate ones.
 * `pause(done, total)` is awaited now and then.
 */
export async function readDataset(logitsSource, labelsSource, pause) {
  const dataset = await readLogits(await readContent(logitsSource, "logits"), pause);
  dataset.classes = (await attempt("logits", () => readShape(dataset.logits))).at(-1);
  if (labelsSource) dataset.targets = await readLabels(await readContent(labelsSource, "labels"), dataset.classNames);
  return dataset;
}

async function readLogits({ npy, npz, text }, pause) {
  if (npy) return { logits: npy };
  if (npz) return readNamedArrays(npz);
  if (!text) throw new Unreadable("logits", "There are no logits yet. Paste some, or drop a file.");
  if (/^[[{]/.test(text)) return readJsonLogits(parseJson(text, "logits"));
  const { rows, classes, values, labels, classNames, rowNames } = await readTable(text, pause);
  return {
    logits: writeNpy([rows, classes], values),
    targets: labels && encodeLabels(labels, classNames),
    classNames,
    rowNames,
  };
}

async function readNamedArrays(npz) {
  const members = await attempt("logits", () => readArchive(npz));
  const names = [...members.keys()].map((name) => name.replace(/\.npy$/, ""));
  const find = (wanted) => wanted.find((name) => members.has(`${name}.npy`));
  const read = (name) => attempt("logits", members.get(`${name}.npy`));
  const [logits, targets] = [find(LOGITS), find(LABELS)];
  if (!logits)
    throw new Unreadable(
      "logits",
      `The archive needs an array with the name logits. It has: ${names.slice(0, 8).join(", ")}.`,
    );
  return { logits: await read(logits), targets: targets && encodeArray(await read(targets)) };
}

function readJsonLogits(value) {
  const fields = Array.isArray(value) ? { logits: value } : value;
  if (!Array.isArray(fields.logits))
    throw new Unreadable("logits", 'The JSON needs a list, or an object with "logits".');
  const { shape, values } = flattenNested(fields.logits, "logits");
  const labels = LABELS.map((name) => fields[name]).find((found) => found !== undefined && found !== null);
  return {
    logits: writeNpy(shape.length === 1 ? [1, ...shape] : shape, values),
    targets: labels === undefined ? undefined : encodeNested(Array.isArray(labels) ? labels : [labels]),
  };
}

async function readLabels({ npy, npz, text }, classNames) {
  if (npy) return encodeArray(npy, classNames);
  if (npz) {
    const members = await attempt("labels", () => readArchive(npz));
    const names = [...LABELS, "arr_0"].map((name) => `${name}.npy`);
    const found = names.find((name) => members.has(name)) ?? [...members.keys()][0];
    return encodeArray(await attempt("labels", members.get(found)), classNames);
  }
  if (!text) return undefined;
  if (text.startsWith("[")) return encodeNested(parseJson(text, "labels"), classNames);
  return encodeLabels(readLabelTable(text), classNames);
}

/** Return labels of a .npy file: numbers as they are, names as class indices. */
function encodeArray(npy, classNames) {
  const isText = /'descr'\s*:\s*'[<>=|]?U/.test(new TextDecoder("latin1").decode(npy.slice(0, 256)));
  if (!isText) return npy;
  try {
    return encodeLabels(readNpy(npy).values, classNames);
  } catch (error) {
    throw new Unreadable("labels", error.message);
  }
}

/** Return labels of JSON: a list of labels, or a list of class probabilities for each row. */
function encodeNested(labels, classNames) {
  if (labels.some((label) => typeof label === "string")) return encodeLabels(labels, classNames);
  const { shape, values } = flattenNested(labels, "labels");
  return writeNpy(shape, values);
}

function parseJson(text, field) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Unreadable(field, `This is not JSON: ${error.message}`);
  }
}

/** Run a reader and turn any error into one that names the field. */
async function attempt(field, read) {
  try {
    return await read();
  } catch (error) {
    throw new Unreadable(field, error.message);
  }
}
