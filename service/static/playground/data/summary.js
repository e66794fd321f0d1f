// Summaries of the results: counts and short lists that stay small for any number of rows.

const WORST_ROWS = 10;
const WHOLE_MATRIX = 16;
const MOST_PAIRS = 12;
const MOST_CLASSES = 16;

/** Return the name of a class: that of its column if it has one, else its index. */
export const className = ({ classNames }, i) => (i < 0 ? "none" : (classNames?.[i] ?? String(i)));

/** Return the name of a row: that of the file if it has one, else its index. */
export const rowName = ({ rowNames }, row) => rowNames?.[row] || row.toLocaleString("en");

/** Return the probability of a class in a row; 0 for -1, the prediction of a row whose classes are all excluded. */
const shareOf = ({ probabilities, classes }, row, i) => (i < 0 ? 0 : probabilities[row * classes + i]);

/** Return the rows with the largest loss, or with the largest entropy if there are no labels. */
export function worstRows(results) {
  const { measure, predictions, labels } = results;
  const order = Int32Array.from(measure.keys()).sort((a, b) => measure[b] - measure[a] || a - b);
  return Array.from(order.subarray(0, WORST_ROWS), (row) => ({
    row,
    name: rowName(results, row),
    measure: measure[row],
    ...(labels && { label: className(results, labels[row]), own: shareOf(results, row, labels[row]) }),
    prediction: className(results, predictions[row]),
    share: shareOf(results, row, predictions[row]),
  }));
}

/** Return the confusion: the whole matrix of counts for few classes, the most frequent pairs for many. */
export function confusion(results) {
  const { labels, predictions, classes } = results;
  const counts = new Map();
  labels.forEach((label, row) => {
    const key = label * classes + predictions[row];
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  const name = (i) => className(results, i);
  const indices = Array.from({ length: Math.min(classes, WHOLE_MATRIX) }, (_, i) => i);
  if (classes <= WHOLE_MATRIX)
    return {
      names: indices.map(name),
      matrix: indices.map((label) => indices.map((prediction) => counts.get(label * classes + prediction) ?? 0)),
    };
  const wrong = [...counts].filter(([key]) => Math.floor(key / classes) !== key % classes);
  const most = wrong.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, MOST_PAIRS);
  return { pairs: most.map(([key, found]) => [name(Math.floor(key / classes)), name(key % classes), found]) };
}

/**
 * Return { shown, total } with precision and recall of the classes: all of few classes, the lowest recalls of many. A
 * class that was never predicted has no precision, and one without rows has no recall; both are NaN.
 */
export function perClass(results) {
  const { labels, predictions, classes } = results;
  const [rows, predicted, hits] = [0, 0, 0].map(() => new Int32Array(classes));
  labels.forEach((label, row) => {
    rows[label] += 1;
    predicted[predictions[row]] += 1;
    if (predictions[row] === label) hits[label] += 1;
  });
  const entries = Array.from({ length: classes }, (_, i) => ({
    name: className(results, i),
    rows: rows[i],
    precision: hits[i] / predicted[i],
    recall: hits[i] / rows[i],
  }));
  const present = entries.filter((entry) => entry.rows > 0);
  if (classes <= MOST_CLASSES) return { shown: entries, total: classes };
  return { shown: present.sort((a, b) => a.recall - b.recall).slice(0, MOST_CLASSES), total: classes };
}
