// Tables as text: CSV with commas, semicolons, tabs or spaces.

import { Unreadable } from "./unreadable.js";

const LABEL = /^(labels?|targets?|class|y|y_true)$/i;
const ROW_NAME = /^(|id|index|row|name|file|file_?name|path|image|sample|unnamed: 0)$/i;
const EXCLUDED = /^-inf(inity)?$/i;

/**
 * Return { cells, separator } of a text: a list of cells for each line that is not empty. `lines[n]` is the number of
 * such a line in the text, counted from 1.
 */
export function splitTable(text) {
  const all = text.split(/\r?\n/);
  const lines = all.map((_, at) => at).filter((at) => all[at].trim());
  const first = all[lines[0]] ?? "";
  const separator = ["\t", ";", ","].find((mark) => first.includes(mark)) ?? /\s+/;
  return { cells: lines.map((at) => splitLine(all[at], separator)), lines: lines.map((at) => at + 1), separator };
}

function splitLine(line, separator) {
  if (!line.includes('"')) {
    const cells = typeof separator === "string" ? line.split(separator) : line.trim().split(separator);
    return cells.map((cell) => cell.trim());
  }
  const mark = typeof separator === "string" ? separator : " ";
  const cells = [""];
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"' && isQuoted && line[at + 1] === '"') cells[cells.length - 1] += line[at++];
    else if (line[at] === '"') isQuoted = !isQuoted;
    else if (line[at] === mark && !isQuoted) cells.push("");
    else cells[cells.length - 1] += line[at];
  }
  return cells.map((cell) => cell.trim());
}

/** Return a function that reads a number from a cell, NaN if there is none. With a comma as decimal mark it reads that. */
export function numberReader(separator) {
  const hasDecimalComma = separator === ";" || separator === "\t";
  return (cell) => {
    if (cell === "") return NaN;
    const value = Number(hasDecimalComma ? cell.replace(",", ".") : cell);
    return Number.isNaN(value) && EXCLUDED.test(cell) ? -Infinity : value;
  };
}

/** Return the table of a text: { rows, classes, values, labels, classNames, rowNames }, the last three if present. */
export function readTable(text) {
  const { cells, lines, separator } = splitTable(text);
  const toNumber = numberReader(separator);
  const names = hasHeader(cells, toNumber) ? cells.shift() : undefined;
  if (names) lines.shift();
  if (!cells.length) throw new Unreadable("logits", "There is no row of numbers below the names of the columns.");
  const find = (kind) => (names ? names.findIndex((name) => kind.test(name)) : -1);
  const [labelColumn, nameColumn] = [find(LABEL), find(ROW_NAME)];
  const width = (names ?? cells[0]).length;
  const columns = Array.from({ length: width }, (_, at) => at).filter((at) => at !== labelColumn && at !== nameColumn);
  const values = new Float64Array(cells.length * columns.length);
  cells.forEach((row, at) => {
    if (row.length !== width)
      throw new Unreadable("logits", `Line ${lines[at]} has ${row.length} columns, the first line has ${width}.`);
    columns.forEach((column, place) => {
      const value = toNumber(row[column]);
      if (Number.isNaN(value))
        throw new Unreadable("logits", `Line ${lines[at]}, column ${column + 1} is not a number.`);
      values[at * columns.length + place] = value;
    });
  });
  const take = (column) => (column < 0 ? undefined : cells.map((row) => row[column]));
  return {
    rows: cells.length,
    classes: columns.length,
    values,
    labels: take(labelColumn),
    classNames: names && columns.map((column) => names[column]),
    rowNames: take(nameColumn),
  };
}

/** Return whether the first line has names in place of numbers. Throws Unreadable for a column of names without a head. */
function hasHeader([first, second], toNumber) {
  const isName = (cell) => Number.isNaN(toNumber(cell ?? ""));
  const named = first.map((cell, at) => (isName(cell) ? at : -1)).filter((at) => at >= 0);
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
  const { cells } = splitTable(text);
  const column = cells[0].findIndex((name) => LABEL.test(name));
  if (column >= 0) return cells.slice(1).map((row) => row[column]);
  if (cells.length === 1 || cells.every((row) => row.length === 1)) return cells.flat().filter(Boolean);
  throw new Unreadable("labels", "Give one label for each row, or a column with the name label.");
}
