// Tables as text: CSV with commas, semicolons, tabs or spaces.

import { Unreadable } from "./unreadable.js";

const LABEL = /^(labels?|targets?|class|y|y_true)$/i;
const ROW_NAME = /^(|id|index|row|name|file|file_?name|path|image|sample|unnamed: 0)$/i;
const EXCLUDED = /^-inf(inity)?$/i;
const ROWS_BETWEEN_PAUSES = 5000;

/** Return the lines of a text that are not empty, as { number, cells() }, and the separator of their cells. */
function splitLines(text) {
  const all = text.split(/\r?\n/).map((line, at) => ({ line, number: at + 1 }));
  const lines = all.filter(({ line }) => line.trim());
  const first = lines[0]?.line ?? "";
  const separator = ["\t", ";", ","].find((mark) => first.includes(mark)) ?? " ";
  return { lines: lines.map(({ line, number }) => ({ number, cells: () => splitCells(line, separator) })), separator };
}

function splitCells(line, separator) {
  if (line.includes('"')) return splitQuoted(line, separator);
  const cells = separator === " " ? line.trim().split(/\s+/) : line.split(separator);
  return cells.map((cell) => cell.trim());
}

/** Split a line with quoted cells, in which two quotes stand for one. */
function splitQuoted(line, separator) {
  const cells = [""];
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"' && isQuoted && line[at + 1] === '"') cells[cells.length - 1] += line[at++];
    else if (line[at] === '"') isQuoted = !isQuoted;
    else if (line[at] === separator && !isQuoted) cells.push("");
    else cells[cells.length - 1] += line[at];
  }
  return cells.map((cell) => cell.trim());
}

/** Return a function that reads a number from a cell, NaN if there is none. Between semicolons, a comma is decimal. */
function numberReader(separator) {
  const hasDecimalComma = separator === ";" || separator === "\t";
  return (cell) => {
    if (cell === "") return NaN;
    const value = Number(hasDecimalComma ? cell.replace(",", ".") : cell);
    return Number.isNaN(value) && EXCLUDED.test(cell) ? -Infinity : value;
  };
}

/**
 * Return the table of a text: { rows, classes, values, labels, classNames, rowNames }, the last three if present.
 * `pause(done, total)` is awaited every few thousand rows; it may report the progress, and throw to cancel.
 */
export async function readTable(text, pause) {
  const { lines, separator } = splitLines(text);
  const toNumber = numberReader(separator);
  const first = lines[0].cells();
  const names = hasHeader(first, lines[1]?.cells(), toNumber) ? first : undefined;
  if (names) lines.shift();
  if (!lines.length) throw new Unreadable("logits", "The text has names of columns, but no row of numbers below them.");
  const find = (kind) => (names ? names.findIndex((name) => kind.test(name)) : -1);
  const [labelColumn, nameColumn] = [find(LABEL), find(ROW_NAME)];
  const columns = Array.from(first.keys()).filter((at) => at !== labelColumn && at !== nameColumn);
  const values = new Float64Array(lines.length * columns.length);
  const [labels, rowNames] = [[], []];
  for (const [row, { number, cells }] of lines.entries()) {
    if (row % ROWS_BETWEEN_PAUSES === 0) await pause(row, lines.length);
    const own = cells();
    if (own.length !== first.length)
      throw new Unreadable(
        "logits",
        `Line ${number} must have ${first.length} columns, as the first line; it has ${own.length}.`,
      );
    columns.forEach((column, at) => {
      const value = toNumber(own[column]);
      if (Number.isNaN(value)) throw new Unreadable("logits", `Line ${number}, column ${column + 1} is not a number.`);
      values[row * columns.length + at] = value;
    });
    labels.push(own[labelColumn]);
    rowNames.push(own[nameColumn]);
  }
  return {
    rows: lines.length,
    classes: columns.length,
    values,
    labels: labelColumn < 0 ? undefined : labels,
    classNames: names && columns.map((column) => names[column]),
    rowNames: nameColumn < 0 ? undefined : rowNames,
  };
}

/** Return whether the first line has names in place of numbers. Throws Unreadable for a column of names without a head. */
function hasHeader(first, second, toNumber) {
  const isName = (cell) => Number.isNaN(toNumber(cell ?? ""));
  const named = Array.from(first.keys()).filter((at) => isName(first[at]));
  if (!named.length) return false;
  if (second && named.length < first.length && named.every((at) => isName(second[at])))
    throw new Unreadable(
      "logits",
      `Column ${named[0] + 1} holds names. Add a first line that names the columns, such as id,cat,dog,label.`,
    );
  return true;
}

/** Return the labels of a text: the only column or line, or the column that is named label. */
export function readLabelTable(text) {
  const cells = splitLines(text).lines.map((line) => line.cells());
  const column = cells[0].findIndex((name) => LABEL.test(name));
  if (column >= 0) return cells.slice(1).map((row) => row[column]);
  if (cells.length === 1 || cells.every((row) => row.length === 1)) return cells.flat().filter(Boolean);
  throw new Unreadable("labels", "Give one label for each row, or a column with the name label.");
}
