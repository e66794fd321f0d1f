// The controls of the network: its numbers, the right class and the mask.

import { html } from "../dom.js";
import { pretty } from "../format.js";
import { numberField } from "./fields.js";
import { CLASSES, INPUTS, bias, input, logit, probability, weight } from "./model.js";

const LAYER_RANGE = { min: -3, max: 3, step: 0.1 };
const RANGES = {
  inputs: LAYER_RANGE,
  weights: LAYER_RANGE,
  bias: LAYER_RANGE,
  logits: { min: -6, max: 6, step: 0.1 },
  temperature: { min: 0.1, max: 5, step: 0.1 },
  smoothing: { min: 0, max: 0.9, step: 0.05 },
  rate: { min: 0, max: 2, step: 0.05 },
};
const LABELS = { temperature: "temperature T", smoothing: "label smoothing ε", rate: "learning rate η" };

/** Fill the roots with controls. `change(state)` is called with every new state. Return a function that shows a state. */
export function networkControls(roots, getState, change) {
  const setters = [];
  const paths = [];
  const entry = (key, path, name, label = name) => {
    const first = paths.push([key, ...path]) - 1;
    // further values are for the numbers behind this one, as long as they are of the same kind
    const changed = (...values) => {
      const state = structuredClone(getState());
      const places = paths.slice(first, first + values.length).filter(([kind]) => kind === key);
      places.forEach((place, index) => put(state, place, values[index]));
      change(state);
    };
    const { root, set } = numberField({ name, label, range: RANGES[key], changed });
    setters.push((state) => set(at(state, [key, ...path])));
    return root;
  };
  const scoreRow = (i) =>
    html(
      "div",
      { class: "row" },
      html("span", { "aria-hidden": "true" }, pretty(logit(i))),
      entry("logits", [i], logit(i)),
    );

  roots.layer.append(layerGrid(entry));
  roots.logits.append(...CLASSES.map(scoreRow));
  for (const [key, label] of Object.entries(LABELS)) roots[key].append(entry(key, [], key, label));
  const targets = classChoices(roots.targets, "radio", "is right", (i) => change({ ...getState(), target: i }));
  const masks = classChoices(roots.masks, "checkbox", "is masked", (i, isOn) => {
    const masked = getState().masked.map((was, j) => (i === j ? isOn : was));
    change({ ...getState(), masked });
  });

  return function set(state) {
    for (const setter of setters) setter(state);
    roots.layer.hidden = state.source !== "layer";
    roots.logits.hidden = state.source === "layer";
    for (const radio of roots.sources) radio.checked = radio.value === state.source;
    CLASSES.forEach((i) => {
      targets[i].checked = state.target === i;
      targets[i].disabled = state.masked[i];
      masks[i].checked = state.masked[i];
      masks[i].disabled = state.target === i;
    });
  };
}

const at = (values, path) => path.reduce((inside, key) => inside[key], values);

function put(state, path, value) {
  at(state, path.slice(0, -1))[path.at(-1)] = value;
  return state;
}

/** Return the layer as a grid: a row for the outputs in front, then a row for each score. */
function layerGrid(entry) {
  const head = (text) => html("span", { class: "head", "aria-hidden": "true" }, text);
  const inputs = INPUTS.map((k) => entry("inputs", [k], input(k)));
  const rows = CLASSES.flatMap((i) => [
    head(pretty(logit(i))),
    ...INPUTS.map((k) => entry("weights", [i, k], weight(i, k))),
    entry("bias", [i], bias(i)),
  ]);
  return html(
    "div",
    { class: "grid", role: "group", "aria-label": "The layer: its inputs, weights and biases" },
    head(""),
    ...INPUTS.map((k) => head(pretty(input(k)))),
    head("bias"),
    head("o"),
    ...inputs,
    head(""),
    ...rows,
  );
}

function classChoices(root, type, label, chosen) {
  const boxes = CLASSES.map((i) =>
    html("input", {
      type,
      name: root.id,
      "aria-label": `class ${i} ${label}`,
      change: (event) => chosen(i, event.target.checked),
    }),
  );
  const caption = (i) => html("span", {}, pretty(probability(i)), html("small", {}, `class ${i}`));
  root.append(...boxes.map((box, i) => html("label", {}, box, caption(i))));
  return boxes;
}
