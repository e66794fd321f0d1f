// The picture of the network. It is built once for a layout; later only numbers, widths and colours change.

import { number, pretty, short, show } from "../format.js";
import { lossSlopes } from "./chain.js";
import { layoutFor } from "./layout.js";
import { CLASSES, INPUTS, input, logit, probability, target, targets, weight } from "./model.js";
import { assemble } from "./parts.js";
import { makeStop, walkable } from "./walk.js";

const WIDEST = 6;
const LONG_TEXT = 7;

/** The smallest number that may get the full width and colour. */
const SCALE = { input: 3, logit: 4, gradient: 1, weight: 1, weightGradient: 0.25, jacobian: 0.25 };

/** Draw the picture in an element. `select(name)` is called for a click. Return { draw, pulse }. */
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
  return { draw, pulse: () => view && pulse(parts.root, view.flow) };
}

function drawWeights({ edges }, { state, result, flow }) {
  const isBackward = flow === "backward";
  const isAbsent = state.source === "logits";
  const values = isBackward ? result.weights_gradient : state.weights;
  const most = Math.max(SCALE[isBackward ? "weightGradient" : "weight"], ...(values ?? []).flat().map(Math.abs));
  for (const i of CLASSES) {
    for (const k of INPUTS) {
      const { group, line, value } = edges.get(weight(i, k));
      const found = isAbsent ? null : values[i][k];
      const output = isBackward && !isAbsent && `weights_gradient.${i}.${k}`;
      const text = write(value, output, found);
      group.classList.toggle("absent", isAbsent || state.masked[i]);
      group.setAttribute("aria-label", `${isBackward ? "gradient of weight" : "weight"} ${weight(i, k)}: ${text}`);
      setSign(line, found ?? 0, most);
    }
  }
}

/** Colour the derivatives of softmax: those of the selected node, else those of the right class in the backward pass. */
function drawLinks({ links, lossLinks }, { state, result, flow, selected }) {
  const [kind, digit] = selected;
  const isShown = (i, j) => {
    if (kind === "z") return i === digit - 4;
    if (kind === "a") return j === digit - 4;
    return flow === "backward" && j === state.target;
  };
  for (const { i, j, line } of links) {
    line.classList.toggle("lit", isShown(i, j));
    setSign(line, isShown(i, j) ? result.jacobian[j][i] : 0, SCALE.jacobian);
  }
  lossLinks.forEach((line, i) => line.classList.toggle("right", i === state.target));
  const right = lossLinks[state.target];
  right.parentNode.append(right); // on top of the others
}

function drawCircles({ nodes }, { state, result, flow }) {
  const isBackward = flow === "backward";
  const hasLayer = state.source === "layer";
  for (const k of INPUTS) {
    const node = nodes.get(input(k));
    node.group.classList.toggle("absent", !hasLayer);
    if (isBackward && hasLayer)
      drawCircle(node, `∂L/∂${input(k)}`, `inputs_gradient.${k}`, result.inputs_gradient[k], SCALE.gradient);
    else drawCircle(node, input(k), undefined, state.inputs[k], SCALE.input);
  }
  for (const i of CLASSES) {
    const node = nodes.get(logit(i));
    node.group.classList.toggle("absent", state.masked[i]);
    if (isBackward)
      drawCircle(node, `∂L/∂${logit(i)}`, `logits_gradient.${i}`, result.logits_gradient[i], SCALE.gradient);
    else if (state.masked[i]) drawCircle(node, logit(i), undefined, "-Infinity", SCALE.logit);
    else drawCircle(node, logit(i), `logits.${i}`, result.logits[i], SCALE.logit);
  }
  drawCircle(nodes.get("L"), "loss L", "loss", result.loss, Infinity);
}

function drawCircle({ group, title, value }, name, output, found, scale) {
  title.textContent = pretty(name);
  write(value, output, found);
  setSign(group, Number(found), scale);
}

function drawBar({ nodes }, i, { state, result, flow }) {
  const { group, title, value, filled, notes } = nodes.get(probability(i));
  const isBackward = flow === "backward";
  const [a, y] = [pretty(probability(i)), pretty(target(i))];
  const found = result.probabilities[i];
  const isChosen = result.predictions === i;
  const words = { chosen: isChosen, right: state.target === i, masked: state.masked[i] };
  title.textContent = isBackward ? `∂L/∂${a}` : a;
  if (isBackward) write(value, undefined, lossSlopes(state, result)[i]);
  else write(value, `probabilities.${i}`, found, number);
  filled.style.setProperty("transform", `scaleX(${found})`);
  group.classList.toggle("chosen", isChosen);
  group.classList.toggle("absent", state.masked[i]);
  const said = Object.keys(words).filter((word) => words[word]);
  const wanted = targets(state)[i];
  const lines = [`class ${i}${wanted > 0 ? `, ${y} = ${short(wanted)}` : ""}`, said.join(", ")];
  if (isBackward) lines.push(`${a} = ${number(found)}`);
  notes.forEach((note, line) => (note.textContent = lines.filter(Boolean)[line] ?? ""));
}

/** Write a number of the reply, or without an output a number that is not in it. Return its text. */
function write(element, output, value, form = short) {
  if (output) show(element, output, value);
  else {
    delete element.dataset.output;
    element.textContent = value === null ? "" : form(value);
  }
  element.classList.toggle("long", element.textContent.length > LONG_TEXT);
  return element.textContent || "none";
}

/** Set colour and width from the sign and the size of a value. */
function setSign(element, value, scale) {
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

/** Run a pulse along the edges once, forward or backward. */
function pulse(root, flow) {
  root.classList.remove("forward", "backward");
  root.getBoundingClientRect(); // restarts the animation
  root.classList.add(flow);
}
