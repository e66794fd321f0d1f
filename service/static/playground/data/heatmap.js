// Probabilities as a picture: a line for each row, a column for each class.

const LIGHT = [
  [241, 243, 248],
  [116, 88, 226],
  [36, 16, 107],
];
const DARK = [
  [30, 38, 56],
  [150, 126, 250],
  [247, 244, 255],
];
const LEVELS = 256;

const byMeasure =
  ({ measure }) =>
  (a, b) =>
    measure[a] - measure[b] || a - b;

/** Orders of the rows by name. */
export const ORDERS = {
  sent: { title: "as sent", compare: () => (a, b) => a - b },
  worst: { title: "worst first", compare: (results) => (a, b) => byMeasure(results)(b, a) },
  label: {
    title: "by label",
    needsLabels: true,
    compare: (results) => (a, b) => results.labels[a] - results.labels[b] || byMeasure(results)(a, b),
  },
  prediction: {
    title: "by prediction",
    compare: (results) => (a, b) => results.predictions[a] - results.predictions[b] || byMeasure(results)(a, b),
  },
};

/** Return the rows in an order. */
export const ordered = (results, name) =>
  Int32Array.from({ length: results.rows }, (_, row) => row).sort(ORDERS[name].compare(results));

/** Return the positions in the order that a line of the picture shows: [first, after the last]. */
export function rowsOfLine(line, rows, height) {
  const first = Math.floor((line * rows) / height);
  return [first, Math.min(rows, Math.max(Math.floor(((line + 1) * rows) / height), first + 1))];
}

/**
 * Paint rows in their order. Return { pixels, width, height }, at most as large as asked for.
 *
 * Rows that share a line show their mean, and classes that share a column show the largest of them: with 1,000 classes a
 * mean would be pale everywhere. The colour grows with the square root of a probability, so that small ones are visible.
 */
export function paint(results, order, { width: widest, height: highest, isDark }) {
  const { rows, classes } = results;
  const [width, height] = [Math.max(1, Math.min(classes, widest)), Math.max(1, Math.min(rows, highest))];
  const pixels = new Uint32Array(width * height);
  const colours = palette(isDark ? DARK : LIGHT);
  for (let line = 0; line < height; line++) {
    const means = lineMeans(results, order.subarray(...rowsOfLine(line, rows, height)));
    for (let i = 0; i < classes; i++) {
      const at = line * width + Math.floor((i * width) / classes);
      pixels[at] = Math.max(pixels[at], Math.round((LEVELS - 1) * Math.sqrt(means[i])));
    }
  }
  return { pixels: new Uint8ClampedArray(pixels.map((level) => colours[level]).buffer), width, height };
}

function lineMeans({ probabilities, classes }, lines) {
  const means = new Float64Array(classes);
  for (const row of lines) {
    for (let i = 0; i < classes; i++) means[i] += probabilities[row * classes + i] / lines.length;
  }
  return means;
}

/** Return the colours from 0 to 1 as pixels of a canvas. */
function palette([low, middle, high]) {
  return Uint32Array.from({ length: LEVELS }, (_, level) => {
    const share = (level / (LEVELS - 1)) * 2;
    const [from, to, rest] = share < 1 ? [low, middle, share] : [middle, high, share - 1];
    const [red, green, blue] = from.map((start, channel) => Math.round(start + (to[channel] - start) * rest));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}
