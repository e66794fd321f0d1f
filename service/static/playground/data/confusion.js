// Which class was taken for which.

import { html } from "../dom.js";
import { count } from "../format.js";

const MOST_CLASSES = 16;
const MOST_PAIRS = 12;

/** counts[label * classes + prediction]. */
export function confusion({ labels, predictions, classes }) {
  const counts = new Map();
  labels.forEach((label, row) => {
    const key = label * classes + predictions[row];
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  return counts;
}

/** The matrix as a table; of many classes only the pairs that are confused most. */
export function confusionTable(results) {
  const counts = confusion(results);
  return results.classes <= MOST_CLASSES ? matrix(counts, results) : pairs(counts, results);
}

function matrix(counts, { labels, classes }) {
  const names = Array.from({ length: classes }, (_, i) => i);
  const totals = names.map((label) => labels.reduce((sum, each) => sum + (each === label), 0));
  const cell = (label, prediction) => {
    const found = counts.get(label * classes + prediction) ?? 0;
    const made = html("td", { class: label === prediction ? "cell hit" : "cell" }, found ? count(found) : "·");
    made.style.setProperty("--share", totals[label] ? (found / totals[label]).toFixed(3) : 0);
    return made;
  };
  return html(
    "table",
    { class: "confusion" },
    html("caption", { class: "unseen" }, "Labels down, predictions across"),
    html(
      "thead",
      {},
      html("tr", {}, html("td", {}), ...names.map((name) => html("th", { scope: "col" }, String(name)))),
    ),
    html(
      "tbody",
      {},
      ...names.map((label) =>
        html(
          "tr",
          {},
          html("th", { scope: "row" }, String(label)),
          ...names.map((prediction) => cell(label, prediction)),
        ),
      ),
    ),
  );
}

function pairs(counts, { classes }) {
  const wrong = [...counts].filter(([key]) => Math.floor(key / classes) !== key % classes);
  const most = wrong.sort((a, b) => b[1] - a[1]).slice(0, MOST_PAIRS);
  const item = ([key, found]) =>
    html("li", {}, `${Math.floor(key / classes)} taken for ${key % classes}: ${count(found)}`);
  return html("ol", { class: "pairs" }, ...most.map(item));
}
