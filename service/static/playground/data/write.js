// Results as files: CSV for spreadsheets, .npz for NumPy.

import { writeNpy } from "./npy.js";
import { className } from "./summary.js";
import { writeArchive } from "./zip.js";

/** Return results as a Blob. `format` is csv or npz. */
export const writeResults = (results, format) => (format === "csv" ? writeCsv(results) : writeNpz(results));

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function writeCsv(results) {
  const { rows, classes, probabilities, predictions, labels, measure, measured, rowNames } = results;
  const name = (i) => quoted(className(results, i));
  const columns = Array.from({ length: classes }, (_, i) => quoted(`p(${className(results, i)})`));
  const lines = [`row,${labels ? "label," : ""}prediction,${measured},${columns.join(",")}\n`];
  for (let row = 0; row < rows; row++) {
    const label = labels ? `${name(labels[row])},` : "";
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    lines.push(
      `${quoted(rowNames?.[row] ?? String(row))},${label}${name(predictions[row])},${measure[row]},${own.join(",")}\n`,
    );
  }
  return new Blob(lines, { type: "text/csv" });
}

function writeNpz({ rows, classes, probabilities, predictions, labels, measure, measured }) {
  return writeArchive({
    probabilities: writeNpy([rows, classes], probabilities),
    predictions: writeNpy([rows], predictions),
    [measured === "loss" ? "row_losses" : "entropy"]: writeNpy([rows], measure),
    ...(labels && { labels: writeNpy([rows], labels) }),
  });
}
