// The heat map with its order, and one row of it in detail.

import { html } from "../dom.js";
import { count, number } from "../format.js";
import { drawHeatMap, ORDERS, ordered, span } from "./heatmap.js";

const MOST_BARS = 10;

/** The card of some results; draw() paints it, look(row) shows a row. */
export function heatMapCard(results) {
  const { rows, classes, labels } = results;
  let order;
  const canvas = html("canvas", {
    role: "img",
    "aria-label": `Heat map of the probabilities of ${count(rows)} rows and ${count(classes)} classes; each row can be read below.`,
    click: (event) => look(order[span(lineAt(event, canvas), rows, canvas.height)[0]]),
  });
  const orders = Object.entries(ORDERS).filter(([, { needsLabels }]) => labels || !needsLabels);
  const choice = html(
    "select",
    { change: () => draw() },
    ...orders.map(([name, { title }]) =>
      html("option", { value: name, selected: name === (labels ? "label" : "sent") }, title),
    ),
  );
  const row = html("input", {
    type: "number",
    min: 0,
    max: Math.max(rows - 1, 0),
    step: 1,
    value: 0,
    input: () => row.value !== "" && row.validity.valid && look(row.valueAsNumber),
  });
  const detail = html("div", { class: "detail" });

  function draw() {
    order = ordered(results, choice.value);
    drawHeatMap(canvas, results, order);
  }
  function look(next) {
    if (next === undefined) return;
    row.value = next;
    detail.replaceChildren(...rowDetail(results, next));
  }

  if (rows) look(0);
  const root = html(
    "section",
    { class: "card tall", "aria-label": "Probabilities" },
    html("div", { class: "bar" }, html("h3", {}, "Probabilities"), html("label", {}, "Order ", choice)),
    canvas,
    html(
      "p",
      { class: "legend" },
      html("span", {}, "a line for each row, a column for each class"),
      html("span", { class: "ramp" }, "0", html("i"), "1"),
    ),
    html("div", { class: "bar" }, html("label", { class: "pick" }, "Row ", row)),
    detail,
  );
  return { root, draw, look };
}

const lineAt = (event, canvas) =>
  Math.min(canvas.height - 1, Math.max(0, Math.floor((event.offsetY / canvas.clientHeight) * canvas.height)));

/** What there is to say of a row, and bars of its most probable classes. */
function rowDetail({ probabilities, classes, predictions, labels, measure, measured }, row) {
  const own = Array.from(probabilities.subarray(row * classes, (row + 1) * classes), (p, i) => ({ p, i }));
  const most = classes > MOST_BARS ? own.sort((a, b) => b.p - a.p).slice(0, MOST_BARS) : own;
  const marks = (i) =>
    [i === predictions[row] && "chosen", i === labels?.[row] && "right"].filter(Boolean).join(" and ");
  const bar = ({ p, i }) => {
    const track = html("span", { class: "track" }, html("i"));
    track.firstChild.style.setProperty("transform", `scaleX(${p})`);
    return html(
      "li",
      {},
      html("span", {}, String(i)),
      track,
      html("data", { value: p }, number(p)),
      html("small", {}, marks(i)),
    );
  };
  return [
    html("p", { class: "quiet" }, `${measured} ${number(measure[row])}`),
    html("ol", { class: "bars" }, ...most.map(bar)),
  ];
}
