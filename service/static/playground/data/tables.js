// The tables of the results: worst rows, confusion, precision and recall.

import { html, scroller, table } from "../dom.js";
import { count, number, percent } from "../format.js";
import { card } from "./card.js";

/** Create the card of the rows with the largest loss, or with the largest entropy if there are no labels. */
export function worstCard({ worst, measured, hasLabels }, look) {
  const lines = worst.map(({ row, name, measure, label, own, prediction, share }) => [
    html("button", { type: "button", class: "small", click: () => look({ row }) }, name),
    number(measure),
    ...(hasLabels ? [label, number(own)] : []),
    prediction,
    number(share),
  ]);
  const heads = ["row", measured, ...(hasLabels ? ["label", "p(label)"] : []), "prediction", "p(prediction)"];
  const [title, text] = hasLabels
    ? ["Worst rows", "The rows with the largest loss. Select one to see its probabilities."]
    : ["Least certain rows", "The rows with the largest entropy. Select one to see its probabilities."];
  return card(title, text, scroller(title, table("", heads, lines)));
}

/** Create the card of the confusion. */
export function confusionCard({ confusion }) {
  const content = confusion.matrix ? scroller("Confusion matrix", matrix(confusion)) : pairs(confusion);
  const text = confusion.matrix
    ? "One row for each label, one column for each prediction."
    : "The most frequent mistakes.";
  return card("Confusion", text, content);
}

function matrix({ names, matrix: counts }) {
  const cell = (found, isHit, total) => {
    const made = html("td", { class: isHit ? "cell hit" : "cell" }, found ? count(found) : "·");
    made.style.setProperty("--share", total ? (found / total).toFixed(3) : 0);
    return made;
  };
  const row = (own, label) => {
    const total = own.reduce((sum, found) => sum + found, 0);
    const cells = own.map((found, prediction) => cell(found, prediction === label, total));
    return html("tr", {}, html("th", { scope: "row" }, names[label]), ...cells);
  };
  return html(
    "table",
    { class: "confusion" },
    html("caption", { class: "unseen" }, "Labels down, predictions across"),
    html("thead", {}, html("tr", {}, html("td", {}), ...names.map((name) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, ...counts.map(row)),
  );
}

const pairs = ({ pairs: found }) =>
  html(
    "ol",
    { class: "pairs" },
    ...found.map(([label, prediction, rows]) => html("li", {}, `${label} taken for ${prediction}: ${count(rows)}`)),
  );

/** Create the card with precision and recall of the classes. */
export function perClassCard({ perClass: { shown, total } }) {
  const text =
    shown.length === total
      ? "Precision: how many of the predictions of a class are right. Recall: how many of its rows are found."
      : `The ${shown.length} classes with the lowest recall, of ${count(total)}.`;
  const lines = shown.map(({ name, rows, precision, recall }) => [
    name,
    count(rows),
    percent(precision),
    percent(recall),
  ]);
  return card(
    "Precision and recall",
    text,
    scroller("Precision and recall", table("", ["class", "rows", "precision", "recall"], lines)),
  );
}
