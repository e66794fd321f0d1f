// The network as a picture. Built once for a layout, then every number, width and colour is only set anew.

import { number, pretty, short, show } from "../format.js";
import { layoutFor } from "./layout.js";
import { CLASSES, INPUTS, input, logit, probability, targets, weight } from "./model.js";
import { assemble } from "./parts.js";
import { makeStop, walkable } from "./walk.js";

const WIDEST = 6;

/** The size that has the full width and colour, or the smallest one that may have. */
const SCALE = { input: 3, logit: 4, gradient: 1, weight: 1, weightGradient: 0.25, jacobian: 0.25 };

/** The picture in an element; `select(name)` is called for what is chosen. Returns draw(view) and pulse(). */
export function networkPicture(root, select) {
  let parts;
  let view;
  const groups = () => new Map([...parts.edges, ...parts.nodes].map(([name, { group }]) => [name, group]));

  function build() {
    const layout = layoutFor(root.clientWidth);
    if (parts?.layout === layout) return;
    parts = assemble(layout, select);
    makeStop(groups(), parts.nodes.get(input(0)).group);
    root.replaceChildren(parts.root);
    if (view) draw(view);
  }
  function draw(next) {
    view = next;
    drawWeights(parts, view);
    drawLinks(parts, view);
    drawCircles(parts, view);
    CLASSES.forEach((i) => drawBar(parts, i, view));
    mark(parts, view.selected);
  }

  build();
  walkable(root, groups);
  new ResizeObserver(build).observe(root);
  return { draw, pulse: () => pulse(parts.root, view.flow) };
}

function drawWeights({ edges }, { state, result, flow }) {
  const back = flow === "backward";
  const absent = state.source === "logits";
  const values = back ? result.weights_gradient : state.weights;
  const most = Math.max(SCALE[back ? "weightGradient" : "weight"], ...(values ?? []).flat().map(Math.abs));
  for (const i of CLASSES) {
    for (const k of INPUTS) {
      const { group, line, value } = edges.get(weight(i, k));
      const found = absent || state.masked[i] ? null : values[i][k];
      const text = write(value, back && found !== null && `weights_gradient.${result.at[i]}.${k}`, found);
      group.classList.toggle("absent", found === null);
      group.setAttribute("aria-label", `${back ? "gradient of weight" : "weight"} ${weight(i, k)}: ${text}`);
      sign(line, found ?? 0, most);
    }
  }
}

/** The links of softmax show derivatives: those of what is selected, or those that the loss chains back through. */
function drawLinks({ links, lossLinks }, { state, result, flow, selected }) {
  const [kind, digit] = selected;
  const isShown = (i, j) => {
    if (kind === "z") return i === digit - 4;
    if (kind === "a") return j === digit - 4;
    return flow === "backward" && j === state.target;
  };
  for (const { i, j, line } of links) {
    const derivative = isShown(i, j) ? result.jacobian[j][i] : null;
    line.classList.toggle("lit", derivative !== null);
    sign(line, derivative ?? 0, SCALE.jacobian);
  }
  lossLinks.forEach((line, i) => line.classList.toggle("right", i === state.target));
  const right = lossLinks[state.target];
  right.parentNode.append(right); // on top of the others
}

function drawCircles({ nodes }, { state, result, flow }) {
  const back = flow === "backward";
  const layer = state.source === "layer";
  for (const k of INPUTS) {
    const node = nodes.get(input(k));
    node.group.classList.toggle("absent", !layer);
    if (back && layer)
      drawCircle(node, `∂L/∂${input(k)}`, `inputs_gradient.${k}`, result.inputs_gradient[k], SCALE.gradient);
    else drawCircle(node, input(k), undefined, state.inputs[k], SCALE.input);
  }
  for (const i of CLASSES) {
    const node = nodes.get(logit(i));
    const at = result.at[i];
    node.group.classList.toggle("absent", state.masked[i]);
    if (back) drawCircle(node, `∂L/∂${logit(i)}`, `logits_gradient.${at}`, result.logits_gradient[i], SCALE.gradient);
    else drawCircle(node, logit(i), `logits.${at}`, result.logits[i], SCALE.logit);
  }
  drawCircle(nodes.get("L"), "loss L", "loss", result.loss, Infinity);
}

function drawCircle({ group, title, value }, name, output, found, scale) {
  title.textContent = pretty(name);
  write(value, output, found);
  sign(group, Number(found), scale);
}

function drawBar({ nodes, layout }, i, { state, result }) {
  const { group, title, value, filled, badge, share } = nodes.get(probability(i));
  const found = result.probabilities[i];
  const target = targets(state)[i];
  const chosen = result.prediction === i;
  const words = { chosen, right: state.target === i, masked: state.masked[i] };
  title.textContent = pretty(probability(i));
  write(value, `probabilities.${result.at[i]}`, found);
  filled.style.setProperty("transform", `scaleX(${found ?? 0})`);
  group.classList.toggle("chosen", chosen);
  group.classList.toggle("absent", state.masked[i]);
  badge.textContent = Object.keys(words)
    .filter((word) => words[word])
    .join(", ");
  share.textContent = layout.withLabels && target > 0 ? `target ${short(target)}` : "";
}

/** Writes a number of the reply, or without an output one that was sent; the text of it. */
function write(element, output, value) {
  if (output) show(element, output, value);
  else {
    delete element.dataset.output;
    element.textContent = value === null ? "" : short(value);
  }
  return output ? number(value) : element.textContent || "none";
}

/** Colour and width follow the sign and the size of a value. */
function sign(element, value, scale) {
  const share = Math.min(1, Math.abs(value) / scale) || 0;
  element.classList.toggle("positive", share > 0 && value > 0);
  element.classList.toggle("negative", share > 0 && value < 0);
  element.style.setProperty("--share", share.toFixed(3));
  element.style.setProperty("--width", `${(0.8 + WIDEST * share).toFixed(2)}px`);
}

function mark({ edges, nodes }, selected) {
  for (const [name, { group, value }] of [...edges, ...nodes]) {
    group.setAttribute("aria-pressed", String(name === selected));
    value.classList.toggle("selected", name === selected);
  }
}

/** Lets a pulse run along the edges once, forward or backward. */
function pulse(root, flow) {
  root.classList.remove("forward", "backward");
  root.getBoundingClientRect(); // lets the animation start anew
  root.classList.add(flow);
}
