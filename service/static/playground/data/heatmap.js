// Probabilities as a picture: a line for each row, a column for each class.

const MOST_LINES = 800;
const MOST_COLUMNS = 1024;
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

/** Orders of the rows by name. */
export const ORDERS = {
  sent: { title: "as sent", compare: () => (a, b) => a - b },
  worst: {
    title: "worst first",
    compare:
      ({ measure }) =>
      (a, b) =>
        measure[b] - measure[a] || a - b,
  },
  label: {
    title: "by label",
    needsLabels: true,
    compare:
      ({ labels, measure }) =>
      (a, b) =>
        labels[a] - labels[b] || measure[a] - measure[b],
  },
  prediction: {
    title: "by prediction",
    compare:
      ({ predictions, measure }) =>
      (a, b) =>
        predictions[a] - predictions[b] || measure[a] - measure[b],
  },
};

/** The rows in an order. */
export const ordered = (results, name) =>
  Int32Array.from({ length: results.rows }, (_, row) => row).sort(ORDERS[name].compare(results));

/** Draws rows in their order. More than fit share a line, which shows their mean. */
export function drawHeatMap(canvas, results, order) {
  const { rows, classes } = results;
  canvas.width = Math.max(1, Math.min(classes, MOST_COLUMNS));
  canvas.height = Math.max(1, Math.min(rows, MOST_LINES));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = palette();
  for (let y = 0; y < canvas.height; y++) {
    const means = lineMeans(results, order, y, canvas);
    for (let x = 0; x < canvas.width; x++) pixels[y * canvas.width + x] = colours[Math.round(255 * means[x])];
  }
  context.putImageData(image, 0, 0);
}

/** The places in the order that a line shows: from one to before the other. */
export function span(y, rows, lines) {
  return [
    Math.floor((y * rows) / lines),
    Math.max(Math.floor(((y + 1) * rows) / lines), Math.floor((y * rows) / lines) + 1),
  ];
}

function lineMeans({ probabilities, rows, classes }, order, y, { width, height }) {
  const means = new Float64Array(width);
  const counts = new Float64Array(width);
  const [from, to] = span(y, rows, height);
  for (let place = from; place < Math.min(to, rows); place++) {
    for (let i = 0; i < classes; i++) {
      const x = Math.floor((i * width) / classes);
      means[x] += probabilities[order[place] * classes + i];
      counts[x] += 1;
    }
  }
  return means.map((sum, x) => (counts[x] ? sum / counts[x] : 0));
}

/** 256 colours from 0 to 1, as the pixels of a canvas have them. */
function palette() {
  const [low, middle, high] = matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const share = (level / 255) * 2;
    const [from, to, rest] = share < 1 ? [low, middle, share] : [middle, high, share - 1];
    const [red, green, blue] = from.map((start, channel) => Math.round(start + (to[channel] - start) * rest));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}
