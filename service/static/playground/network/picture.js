// The network as a picture. Built once for a layout, then every number, width and colour is only set anew.

import { svg } from "../dom.js";
import { number, pretty, short, show } from "../format.js";
import { along, curve, layoutFor, toLoss } from "./layout.js";
import {
  CLASSES,
  INPUTS,
  input,
  logit,
  probability,
  targets,
  weight,
} from "./model.js";

const WIDEST = 6;
const SMALLEST_SCALE = { weights: 1, gradient: 0.25, jacobian: 0.25 };

/** The picture in an element; `select(name)` is called for what is clicked. Returns draw(view) and pulse(). */
export function networkPicture(root, select) {
  let parts;
  let view;

  const build = () => {
    const layout = layoutFor(root.clientWidth);
    if (parts?.layout === layout) return;
    parts = assemble(layout, select);
    root.replaceChildren(parts.root);
    if (view) draw(view);
  };
  const draw = (next) => {
    view = next;
    drawEdges(parts, view);
    drawNodes(parts, view);
    mark(parts, view.selected);
  };

  root.addEventListener("keydown", (event) => walk(event, parts, view));
  build();
  new ResizeObserver(build).observe(root);
  return { draw, pulse: () => pulse(parts.root, view.flow) };
}

// a column of the picture for each arrow key to the side, its items for those up and down
const columns = [
  INPUTS.map(input),
  CLASSES.flatMap((i) => INPUTS.map((k) => weight(i, k))),
  CLASSES.map(logit),
  CLASSES.map(probability),
  ["L"],
];

function assemble(layout, select) {
  const edges = new Map();
  const nodes = new Map();
  const choose = (name) => ({
    click: () => select(name),
    keydown: (event) => press(event, () => select(name)),
  });
  const button = (name, kind, ...children) =>
    svg(
      "g",
      {
        class: kind,
        role: "button",
        "aria-pressed": "false",
        "data-name": name,
        ...choose(name),
      },
      ...children,
    );

  for (const i of CLASSES)
    for (const k of INPUTS)
      edges.set(weight(i, k), weightEdge(layout, i, k, button));
  const links = CLASSES.flatMap((j) =>
    CLASSES.map((i) => ({ i, j, line: softmaxLink(layout, i, j) })),
  );
  const lossLinks = CLASSES.map((i) =>
    svg("path", { class: "link", d: toLoss(layout, i) }),
  );
  for (const k of INPUTS)
    nodes.set(
      input(k),
      circle(layout, layout.inputX, layout.rows[k], input(k), button),
    );
  for (const i of CLASSES)
    nodes.set(
      logit(i),
      circle(layout, layout.logitX, layout.rows[i], logit(i), button),
    );
  for (const i of CLASSES) nodes.set(probability(i), bar(layout, i, button));
  nodes.set("L", circle(layout, layout.loss.x, layout.loss.y, "L", button));

  const groups = [...edges.values(), ...nodes.values()].map(
    (part) => part.group,
  );
  groups[0].setAttribute("tabindex", 0);
  const lines = [...links.map((link) => link.line), ...lossLinks];
  const root = svg(
    "svg",
    {
      viewBox: `0 0 ${layout.width} ${layout.height}`,
      class: layout.withLabels ? "network" : "network narrow",
      role: "group",
      "aria-label":
        "The network. Arrow keys move between its nodes and weights, Enter explains one.",
    },
    ...lines,
    ...[...edges.values()].map((edge) => edge.group),
    ...[...edges.values()].map((edge) => edge.label),
    ...[...nodes.values()].map((node) => node.group),
  );
  return { layout, root, edges, nodes, links, lossLinks };
}

function weightEdge(layout, i, k, button) {
  const from = { x: layout.inputX + layout.radius, y: layout.rows[k] };
  const to = { x: layout.logitX - layout.radius, y: layout.rows[i] };
  const d = curve(from, to);
  const line = svg("path", { class: "line", d });
  const label = svg("text", {
    class: "edge-label",
    "aria-hidden": "true",
    ...along(from, to, 0.7),
  });
  if (!layout.withLabels) label.setAttribute("display", "none");
  const group = button(
    weight(i, k),
    "edge",
    svg("path", { class: "hit", d }),
    line,
    svg("path", { class: "flow", d }),
  );
  return { group, line, label };
}

function softmaxLink(layout, i, j) {
  const from = { x: layout.logitX + layout.radius, y: layout.rows[i] };
  return svg("path", {
    class: "link",
    d: curve(from, { x: layout.bar.x, y: layout.rows[j] }),
  });
}

function circle(layout, x, y, name, button) {
  const title = svg("text", { class: "name", x, y: y - 6 });
  const value = svg("text", { class: "value", x, y: y + 13 });
  const shape = svg("circle", {
    class: "shape",
    cx: x,
    cy: y,
    r: layout.radius,
  });
  return { group: button(name, "node", shape, title, value), title, value };
}

function bar(layout, i, button) {
  const { x, width, height } = layout.bar;
  const y = layout.rows[i] - height / 2;
  const middle = layout.rows[i];
  const shape = svg("rect", { class: "shape", x, y, width, height, rx: 10 });
  const filled = svg("rect", { class: "filled", x, y, width, height, rx: 10 });
  const title = svg("text", { class: "name start", x: x + 12, y: middle - 6 });
  const value = svg("text", {
    class: "value start",
    x: x + 12,
    y: middle + 15,
  });
  const badge = svg("text", {
    class: "badge",
    x: x + width - 10,
    y: middle - 6,
  });
  const share = svg("text", {
    class: "badge",
    x: x + width - 10,
    y: middle + 15,
  });
  return {
    group: button(
      probability(i),
      "node bar",
      shape,
      filled,
      title,
      value,
      badge,
      share,
    ),
    title,
    value,
    filled,
    badge,
    share,
  };
}

function drawEdges(
  { edges, links, lossLinks },
  { state, result, flow, selected },
) {
  const back = flow === "backward";
  const absent = state.source === "logits";
  const values = back ? result.weights_gradient : state.weights;
  const scale = Math.max(
    SMALLEST_SCALE[back ? "gradient" : "weights"],
    ...(values ?? []).flat().map(Math.abs),
  );
  for (const i of CLASSES) {
    for (const k of INPUTS) {
      const { group, line, label } = edges.get(weight(i, k));
      const value = absent || state.masked[i] ? null : values[i][k];
      group.classList.toggle("absent", value === null);
      sign(line, value ?? 0, scale);
      if (back && value !== null)
        show(label, `weights_gradient.${result.at[i]}.${k}`, value);
      else label.textContent = value === null ? "" : short(value);
      if (!back) delete label.dataset.output;
      describe(
        group,
        `weight ${weight(i, k)}`,
        absent
          ? "no layer"
          : back
            ? `gradient ${number(value)}`
            : short(state.weights[i][k]),
      );
    }
  }
  const shown = shownDerivatives(state, back, selected);
  for (const { i, j, line } of links) {
    const derivative = result.jacobian[j][i];
    const on = shown(i, j) && derivative !== null;
    line.classList.toggle("lit", on);
    sign(line, on ? Number(derivative) : 0, SMALLEST_SCALE.jacobian);
  }
  lossLinks.forEach((line, i) =>
    line.classList.toggle("right", i === state.target),
  );
}

/** Which derivatives of softmax the links show: those of what is selected, or those that the loss chains back through. */
function shownDerivatives(state, back, selected) {
  const [kind, digit] = selected;
  if (kind === "z") return (i) => i === digit - 4;
  if (kind === "a") return (i, j) => j === digit - 4;
  return (i, j) => back && j === state.target;
}

function drawNodes({ nodes, layout }, { state, result, flow }) {
  const back = flow === "backward";
  const absent = state.source === "logits";
  for (const k of INPUTS) {
    const node = nodes.get(input(k));
    node.group.classList.toggle("absent", absent);
    if (back && !absent)
      circleValue(
        node,
        input(k),
        `inputs_gradient.${k}`,
        result.inputs_gradient[k],
        back,
      );
    else circleValue(node, input(k), undefined, state.inputs[k], false);
  }
  for (const i of CLASSES) {
    const at = result.at[i];
    const [output, values] = back
      ? ["logits_gradient", result.logits_gradient]
      : ["logits", result.logits];
    circleValue(
      nodes.get(logit(i)),
      logit(i),
      `${output}.${at}`,
      values[i],
      back,
    );
    nodes.get(logit(i)).group.classList.toggle("absent", state.masked[i]);
    barValue(nodes.get(probability(i)), i, state, result, layout);
  }
  circleValue(nodes.get("L"), "L", "loss", result.loss, false);
}

function circleValue(node, name, output, value, isGradient) {
  node.title.textContent = isGradient
    ? `∂L/∂${pretty(name)}`
    : name === "L"
      ? "loss L"
      : pretty(name);
  if (output) show(node.value, output, value);
  else {
    delete node.value.dataset.output;
    node.value.textContent = short(value);
  }
  if (name !== "L") sign(node.group, Number(value), isGradient ? 1 : 4);
  describe(
    node.group,
    name === "L" ? "loss" : name,
    isGradient ? `gradient ${number(value)}` : number(value),
  );
}

function barValue(
  { group, title, value, filled, badge, share },
  i,
  state,
  result,
  layout,
) {
  const a = result.probabilities[i];
  title.textContent = pretty(probability(i));
  show(value, `probabilities.${result.at[i]}`, a);
  filled.style.setProperty("transform", `scaleX(${a ?? 0})`);
  const chosen = result.prediction === i;
  const right = state.target === i;
  group.classList.toggle("chosen", chosen);
  group.classList.toggle("absent", state.masked[i]);
  const words = [
    chosen && "chosen",
    right && "right",
    state.masked[i] && "masked",
  ].filter(Boolean);
  badge.textContent = layout.withLabels
    ? words.join(" and ")
    : words
        .map((word) => ({ chosen: "●", right: "✓" })[word] ?? word)
        .join(" ");
  const target = targets(state)[i];
  share.textContent =
    layout.withLabels && target > 0 ? `target ${short(target)}` : "";
  describe(group, probability(i), [number(a), ...words].join(", "));
}

/** Colour and width follow the sign and the size of a value. */
function sign(element, value, scale) {
  element.classList.toggle("positive", value > 0);
  element.classList.toggle("negative", value < 0);
  const share = Math.min(1, Math.abs(value) / scale) || 0;
  element.style.setProperty("--share", share.toFixed(3));
  element.style.setProperty(
    "--width",
    `${(0.8 + WIDEST * share).toFixed(2)}px`,
  );
}

const describe = (group, name, value) =>
  group.setAttribute("aria-label", `${name}: ${value}`);

function mark({ edges, nodes }, selected) {
  for (const [name, { group, label }] of [...edges, ...nodes]) {
    group.setAttribute("aria-pressed", String(name === selected));
    label?.classList.toggle("selected", name === selected);
  }
}

function press(event, action) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  action();
}

const MOVES = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Moves the focus by an arrow key; the picture is one stop of the tab key. */
function walk(event, { root, edges, nodes }) {
  const move = MOVES[event.key];
  const here = event.target.closest("[data-name]")?.dataset.name;
  if (!move || !here) return;
  event.preventDefault();
  const column = columns.findIndex((names) => names.includes(here));
  const next =
    columns[Math.max(0, Math.min(columns.length - 1, column + move[0]))];
  const share = columns[column].indexOf(here) / columns[column].length;
  const row = move[0]
    ? Math.floor(share * next.length)
    : columns[column].indexOf(here) + move[1];
  const name = next[Math.max(0, Math.min(next.length - 1, row))];
  const { group } = edges.get(name) ?? nodes.get(name);
  for (const other of root.querySelectorAll("[tabindex='0']"))
    other.setAttribute("tabindex", -1);
  group.setAttribute("tabindex", 0);
  group.focus();
}

/** Lets a pulse run along the edges once, forward or backward. */
function pulse(root, flow) {
  root.classList.remove("forward", "backward");
  root.getBoundingClientRect(); // lets the animation start anew
  root.classList.add(flow);
}
