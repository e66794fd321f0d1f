// The state of the network as a query in the address, so that a link shows it to another person.

import { CLASSES } from "./model.js";
import { preset } from "./presets.js";

const NODE = /^(o[1-3]|[za][4-6]|w[4-6][1-3]|L)$/;

const numbers = (length) => ({
  write: (values) => values.flat().join(),
  read: (text) => {
    const values = text.split(",").map((part) => (part.trim() ? Number(part) : NaN));
    return values.length === length && values.every(Number.isFinite) ? values : undefined;
  },
});

const choice = (...options) => ({
  write: String,
  read: (text) => (options.includes(text) ? text : undefined),
});

const grid = {
  write: numbers(9).write,
  read: (text) => {
    const values = numbers(9).read(text);
    return values && [values.slice(0, 3), values.slice(3, 6), values.slice(6)];
  },
};

const single = { write: String, read: (text) => numbers(1).read(text)?.[0] };

const classIndex = {
  write: String,
  read: (text) => CLASSES.find((i) => String(i) === text),
};

const classSet = {
  write: (flags) => CLASSES.filter((i) => flags[i]).join(),
  read: (text) => {
    const chosen = text ? text.split(",") : [];
    return chosen.every((item) => classIndex.read(item) !== undefined)
      ? CLASSES.map((i) => chosen.includes(String(i)))
      : undefined;
  },
};

/** For each key of a link: the field of the view that it holds, and how it is written. */
const FIELDS = {
  scores: ["source", choice("layer", "logits")],
  o: ["inputs", numbers(3)],
  w: ["weights", grid],
  b: ["bias", numbers(3)],
  z: ["logits", numbers(3)],
  right: ["target", classIndex],
  masked: ["masked", classSet],
  T: ["temperature", single],
  smoothing: ["smoothing", single],
  rate: ["rate", single],
  direction: ["flow", choice("forward", "backward")],
  node: ["selected", { write: String, read: (text) => (NODE.test(text) ? text : undefined) }],
};

/** The view that an address without a query shows. */
export const START = { ...preset("article"), flow: "forward", selected: "z5" };

/** Return the query for a view: every field that differs from the start. */
export function writeLink(view) {
  const written = Object.entries(FIELDS).map(([key, [field, form]]) => [key, form.write(view[field]), field, form]);
  return written
    .filter(([, text, field, form]) => text !== form.write(START[field]))
    .map(([key, text]) => `${key}=${text.replaceAll("+", "")}`) // a query reads + as a space
    .join("&");
}

/** Return the view that a query describes. Throws an Error that names the part that cannot be read. */
export function readLink(query) {
  const view = structuredClone(START);
  for (const [key, text] of new URLSearchParams(query)) {
    const [field, form] = FIELDS[key] ?? [];
    const value = form?.read(text);
    if (value === undefined)
      throw new Error(`The link cannot be read at "${key}". The page shows the example of the article instead.`);
    view[field] = value;
  }
  if (view.masked[view.target])
    throw new Error('The link cannot be read at "masked": the right class cannot be masked.');
  return view;
}
