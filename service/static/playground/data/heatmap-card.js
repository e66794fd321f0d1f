// The heat map with its order, and one row of it in detail.

import { html } from "../dom.js";
import { count, number } from "../format.js";
import { ORDERS } from "./heatmap.js";

const HEIGHT = 480;

/** Create the card. `ask` asks the worker. Return { root, draw, look }, which paint the map and show a row. */
export function heatMapCard({ rows, classes, hasLabels, measured }, ask) {
  const canvas = html("canvas", {
    role: "img",
    "aria-label": `Heat map of the probabilities of ${count(rows)} rows and ${count(classes)} classes. Each row can be read below.`,
    click: (event) => look({ line: lineAt(event, canvas), height: canvas.height }),
  });
  const orders = Object.entries(ORDERS).filter(([, { needsLabels }]) => hasLabels || !needsLabels);
  const choice = html(
    "select",
    { change: () => draw() },
    ...orders.map(([value, { title }]) =>
      html("option", { value, selected: value === (hasLabels ? "label" : "sent") }, title),
    ),
  );
  const row = html("input", {
    type: "number",
    min: 0,
    max: Math.max(rows - 1, 0),
    step: 1,
    value: 0,
    input: () => row.value !== "" && row.validity.valid && look({ row: row.valueAsNumber }),
  });
  const detail = html("div", { class: "detail" });

  async function draw() {
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const wanted = { orderName: choice.value, width: canvas.clientWidth || 1, height: HEIGHT, isDark };
    const { pixels, width, height } = await ask("picture", wanted);
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  }
  async function look(wanted) {
    if (!rows) return;
    const found = await ask("row", wanted);
    if (document.activeElement !== row) row.value = found.row;
    detail.replaceChildren(...rowDetail(found, measured));
  }

  const root = html(
    "section",
    { class: "card tall", "aria-label": "Probabilities" },
    html("div", { class: "bar" }, html("h3", {}, "Probabilities"), html("label", {}, "Order ", choice)),
    canvas,
    html(
      "p",
      { class: "ramp-line quiet" },
      html("span", {}, "One line for each row, one column for each class. Small probabilities are drawn stronger."),
      html("span", { class: "ramp" }, "0", html("i"), "1"),
    ),
    html("div", { class: "bar" }, html("label", {}, "Row ", row), html("span", { class: "quiet" }, "or click a line")),
    detail,
  );
  return { root, draw, look };
}

const lineAt = (event, canvas) =>
  Math.min(canvas.height - 1, Math.max(0, Math.floor((event.offsetY / canvas.clientHeight) * canvas.height)));

function rowDetail({ name, measure, shown }, measured) {
  const bar = ({ name: label, share, isChosen, isRight }) => {
    const track = html("span", { class: "track" }, html("i"));
    track.firstChild.style.setProperty("transform", `scaleX(${share})`);
    const marks = [isChosen && "chosen", isRight && "right"].filter(Boolean).join(", ");
    return html(
      "li",
      {},
      html("span", { class: "name", title: label }, label),
      track,
      html("data", { value: share }, number(share)),
      html("small", {}, marks),
    );
  };
  return [
    html("p", { class: "quiet" }, `Row ${name}: ${measured} ${number(measure)}`),
    html("ol", { class: "bars" }, ...shown.map(bar)),
  ];
}
