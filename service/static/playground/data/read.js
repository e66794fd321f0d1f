// What people paste or drop, as it goes to the service. What the service can judge is left to it.

import { isNpy, readVector } from "./npy.js";

const LABELS = /^(labels?|targets?|class|y)$/i;
const EXCLUDED = /^-inf(inity)?$/i;

/** A file or a text that cannot be read at all; `field` is the input that it was for. */
export class Unreadable extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** Logits: { npy } as bytes, or { rows } nested, with { labels } if they were beside them. */
export async function readLogits(source) {
  const buffer = await source.arrayBuffer();
  if (isNpy(buffer)) return { npy: buffer };
  const text = new TextDecoder().decode(buffer).trim();
  if (!/^[[{]/.test(text)) return readCsv(text);
  const value = readJson("logits", text);
  const { logits, targets } = Array.isArray(value) ? { logits: value } : value;
  const single = Array.isArray(logits) && logits.length > 0 && !logits.some(Array.isArray);
  return {
    rows: single ? [logits] : logits,
    labels: single && targets !== undefined ? [targets].flat() : targets,
  };
}

/** Labels: a list of numbers, undefined if there is nothing. */
export async function readLabels(source) {
  const buffer = await source.arrayBuffer();
  if (isNpy(buffer)) {
    try {
      return readVector(buffer);
    } catch (error) {
      throw new Unreadable("labels", error.message);
    }
  }
  const text = new TextDecoder().decode(buffer).trim();
  if (text.startsWith("[")) return readJson("labels", text);
  const cells = text.split(/[\s,;]+/).filter(Boolean);
  if (LABELS.test(cells[0])) cells.shift();
  const bad = cells.findIndex((cell) => Number.isNaN(Number(cell)));
  if (bad >= 0) throw new Unreadable("labels", `Label ${bad + 1} is not a number.`);
  return cells.length ? cells.map(Number) : undefined;
}

function readJson(field, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Unreadable(field, `This is not JSON: ${error.message}.`);
  }
}

/** Rows of a CSV text; a first line of names may name a column of labels. */
function readCsv(text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  if (!lines.length) throw new Unreadable("logits", "There are no logits yet: paste some, or drop a file.");
  const separator = [",", ";", "\t"].find((mark) => lines[0].includes(mark)) ?? /\s+/;
  const split = (line) =>
    line
      .trim()
      .split(separator)
      .map((cell) => cell.trim());
  const names = split(lines[0]).every((cell) => Number.isNaN(toNumber(cell))) ? split(lines.shift()) : undefined;
  const column = names ? names.findIndex((name) => LABELS.test(name)) : -1;
  const first = names ? 2 : 1;
  const rows = lines.map((line, at) => readLine(split(line), at + first));
  if (column < 0) return { rows };
  return {
    rows: rows.map((row) => row.filter((_, at) => at !== column)),
    labels: rows.map((row) => row[column]),
  };
}

const toNumber = (cell) => (EXCLUDED.test(cell) ? -Infinity : cell === "" ? NaN : Number(cell));

function readLine(cells, line) {
  return cells.map((cell, column) => {
    const value = toNumber(cell);
    if (Number.isNaN(value)) throw new Unreadable("logits", `Line ${line}, column ${column + 1} is not a number.`);
    return value === -Infinity ? "-Infinity" : value;
  });
}
