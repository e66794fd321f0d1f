// The nodes and edges of the picture, without numbers.

import { svg } from "../dom.js";
import { along, curve, toLoss } from "./layout.js";
import { CLASSES, INPUTS, input, logit, probability, weight } from "./model.js";

/** Create all parts in a layout. `edges` and `nodes` are by name; a click on one calls `select(name)`. */
export function assemble(layout, select) {
  const button = (name, kind, ...children) => {
    const click = () => select(name);
    const keydown = (event) => press(event, click);
    const attributes = { class: kind, role: "button", "aria-pressed": "false", "data-name": name, click, keydown };
    return svg("g", attributes, ...children);
  };
  const pairs = CLASSES.flatMap((i) => INPUTS.map((k) => [i, k]));
  const edges = new Map(pairs.map(([i, k]) => [weight(i, k), weightEdge(layout, i, k, button)]));
  const links = pairs.map(([i, j]) => ({ i, j, line: softmaxLink(layout, i, j) }));
  const lossLinks = CLASSES.map((i) => svg("path", { class: "link", d: toLoss(layout, i) }));
  const { inputX, logitX, rows, loss } = layout;
  const nodes = new Map([
    ...INPUTS.map((k) => [input(k), circle(layout, inputX, rows[k], input(k), button)]),
    ...CLASSES.map((i) => [logit(i), circle(layout, logitX, rows[i], logit(i), button)]),
    ...CLASSES.map((i) => [probability(i), bar(layout, i, button)]),
    ["L", circle(layout, loss.x, loss.y, "L", button)],
  ]);
  return { layout, edges, nodes, links, lossLinks, root: drawing(layout, { edges, nodes, links, lossLinks }) };
}

/** Return the parts from the lowest layer to the highest. */
function drawing(layout, { edges, nodes, links, lossLinks }) {
  return svg(
    "svg",
    {
      viewBox: `0 0 ${layout.width} ${layout.height}`,
      class: layout.withLabels ? "network" : "network narrow",
      role: "group",
      "aria-label": "The network. Arrow keys move between its nodes and weights, Enter explains one.",
    },
    ...links.map((link) => link.line),
    svg("g", {}, ...lossLinks),
    ...Array.from(edges.values(), (edge) => edge.group),
    ...Array.from(edges.values(), (edge) => edge.value),
    ...Array.from(nodes.values(), (node) => node.group),
  );
}

function weightEdge(layout, i, k, button) {
  const from = { x: layout.inputX + layout.radius, y: layout.rows[k] };
  const to = { x: layout.logitX - layout.radius, y: layout.rows[i] };
  const path = (kind) => svg("path", { class: kind, d: curve(from, to) });
  const line = path("line");
  const value = svg("text", { class: "edge-label", "aria-hidden": "true", ...along(from, to, 0.7) });
  if (!layout.withLabels) value.setAttribute("display", "none");
  return { group: button(weight(i, k), "edge", path("hit"), line, path("flow")), line, value };
}

function softmaxLink(layout, i, j) {
  const from = { x: layout.logitX + layout.radius, y: layout.rows[i] };
  return svg("path", { class: "link", d: curve(from, { x: layout.bar.x, y: layout.rows[j] }) });
}

function circle({ radius }, x, y, name, button) {
  const shape = svg("circle", { class: "shape", cx: x, cy: y, r: radius });
  const title = svg("text", { class: "name", x, y: y - 6 });
  const value = svg("text", { class: "value", x, y: y + 13 });
  return { group: button(name, "node", shape, title, value), title, value };
}

function bar({ bar: { x, width, height }, note, rows }, i, button) {
  const box = { x, y: rows[i] - height / 2, width, height, rx: 10 };
  const text = (kind, left, below) => svg("text", { class: kind, x: left, y: rows[i] + below });
  const filled = svg("rect", { class: "filled", ...box });
  const title = text("name start", x + 12, -8);
  const value = text("value start", x + 12, 16);
  const notes = note.offsets.map((offset) => text(note.class, note.x, offset));
  const shape = svg("rect", { class: "shape", ...box });
  const group = button(probability(i), "node bar", shape, filled, title, value, ...notes);
  return { group, title, value, filled, notes };
}

function press(event, action) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  action();
}
