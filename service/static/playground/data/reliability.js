// Is it right as often as it is sure? Rows in bins by the probability of their prediction.

import { svg } from "../dom.js";
import { percent } from "../format.js";

const BINS = 10;
const SIZE = 300;
const [LEFT, TOP] = [40, 8];

/** For each bin: how many rows, how sure on average, how often right. */
export function bins({ probabilities, predictions, labels, classes }) {
  const found = Array.from({ length: BINS }, () => ({
    rows: 0,
    sure: 0,
    right: 0,
  }));
  predictions.forEach((prediction, row) => {
    if (prediction < 0) return;
    const sure = probabilities[row * classes + prediction];
    const bin = found[Math.min(BINS - 1, Math.floor(sure * BINS))];
    bin.rows += 1;
    bin.sure += sure;
    bin.right += prediction === labels[row];
  });
  return found.map(({ rows, sure, right }) => ({
    rows,
    sure: sure / rows || 0,
    right: right / rows || 0,
  }));
}

/** Expected calibration error: how far sure and right are apart, on average over rows. */
export function calibrationError(found) {
  const rows = found.reduce((sum, bin) => sum + bin.rows, 0);
  return found.reduce((sum, bin) => sum + bin.rows * Math.abs(bin.sure - bin.right), 0) / rows || 0;
}

/** Draws one or two sets of results as { name, found } by class name. */
export function drawReliability(root, series) {
  const x = (share) => LEFT + share * SIZE;
  const y = (share) => TOP + (1 - share) * SIZE;
  const marks = [0, 0.5, 1];
  root.setAttribute("viewBox", `0 0 ${LEFT + SIZE + 12} ${TOP + SIZE + 40}`);
  root.setAttribute("aria-label", `Reliability diagram. ${series.map(describe).join(" ")}`);
  root.replaceChildren(
    svg("rect", {
      class: "frame",
      x: x(0),
      y: y(1),
      width: SIZE,
      height: SIZE,
    }),
    svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...marks.map((mark) => svg("text", { x: x(mark), y: y(0) + 16 }, String(mark))),
    ...marks.map((mark) => svg("text", { class: "end", x: x(0) - 6, y: y(mark) + 4 }, String(mark))),
    svg("text", { x: x(0.5), y: y(0) + 34 }, "how sure"),
    svg("text", { x: -y(0.5), y: 12, transform: "rotate(-90)" }, "how often right"),
    ...series.flatMap(({ kind, found }) => points(kind, found, x, y)),
  );
}

function points(kind, found, x, y) {
  const full = found.filter((bin) => bin.rows);
  const most = Math.max(...full.map((bin) => bin.rows));
  const line = full.map((bin) => `${x(bin.sure).toFixed(1)},${y(bin.right).toFixed(1)}`).join(" ");
  const dot = (bin) =>
    svg("circle", {
      class: `dot ${kind}`,
      cx: x(bin.sure),
      cy: y(bin.right),
      r: 3 + 7 * Math.sqrt(bin.rows / most),
    });
  return [svg("polyline", { class: `line ${kind}`, points: line }), ...full.map(dot)];
}

const describe = ({ name, found }) =>
  `${name}: ${found
    .filter((bin) => bin.rows)
    .map((bin) => `${percent(bin.sure)} sure, ${percent(bin.right)} right`)
    .join("; ")}.`;
