// Results as files.

/** A row for each sample. */
export function writeCsv({ rows, classes, probabilities, predictions, labels, measure, measured }) {
  const columns = Array.from({ length: classes }, (_, i) => `p${i}`);
  const lines = [`row,${labels ? "label," : ""}prediction,${measured},${columns.join(",")}\n`];
  for (let row = 0; row < rows; row++) {
    const label = labels ? `${labels[row]},` : "";
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    lines.push(`${row},${label}${predictions[row]},${measure[row]},${own.join(",")}\n`);
  }
  return new Blob(lines, { type: "text/csv" });
}

/** The same by name, in nested arrays. */
export function writeJson({ rows, classes, probabilities, predictions, labels, measure, measured, loss, accuracy }) {
  const nested = Array.from({ length: rows }, (_, row) =>
    Array.from(probabilities.subarray(row * classes, (row + 1) * classes)),
  );
  const content = {
    loss,
    accuracy,
    predictions: Array.from(predictions),
    labels: labels && Array.from(labels),
    [measured === "loss" ? "row_losses" : "entropy"]: Array.from(measure),
    probabilities: nested,
  };
  return new Blob([JSON.stringify(content)], { type: "application/json" });
}
