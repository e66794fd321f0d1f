// Fields for the numbers of the network: each a number that can be typed, with a slider below it.

import { html } from "../dom.js";
import { pretty } from "../format.js";
import { CLASSES, INPUTS, bias, input, logit, probability, weight } from "./model.js";

const RANGES = {
  inputs: { min: -3, max: 3, step: 0.1 },
  weights: { min: -3, max: 3, step: 0.1 },
  bias: { min: -3, max: 3, step: 0.1 },
  logits: { min: -6, max: 6, step: 0.1 },
  temperature: { min: 0.1, max: 5, step: 0.1 },
  smoothing: { min: 0, max: 0.9, step: 0.05 },
  rate: { min: 0, max: 2, step: 0.05 },
};

/** A number with its slider; what cannot be read as a number goes to the service as null, which says so. */
function field(name, range, label, changed) {
  const typed = html("input", {
    type: "number",
    step: "any",
    id: `field-${name}`,
    "aria-label": label,
    inputmode: "decimal",
  });
  const slider = html("input", {
    type: "range",
    ...range,
    tabindex: -1,
    "aria-hidden": "true",
  });
  typed.addEventListener("input", () => {
    slider.value = typed.value;
    changed(typed.value === "" ? null : typed.valueAsNumber);
  });
  slider.addEventListener("input", () => {
    typed.value = slider.value;
    changed(slider.valueAsNumber);
  });
  const set = (value) => {
    if (document.activeElement !== typed || typed.valueAsNumber !== value)
      typed.value = value === null ? "" : round(value);
    slider.value = value;
  };
  return { root: html("div", { class: "number" }, typed, slider), typed, set };
}

/** As many digits as fit; the number that is sent stays whole. */
const round = (value) => String(Number(value.toPrecision(4)));

/** The grids of numbers and the other knobs. `change(patch)` is called with what is new of the state. */
export function networkControls(roots, getState, change) {
  const setters = [];
  const cell = (name, range, label, read, write) => {
    const made = field(name, range, label, (value) => change(write(structuredClone(getState()), value)));
    setters.push((state) => made.set(read(state)));
    return made.root;
  };
  const entry = (key, path, name) =>
    cell(
      name,
      RANGES[key],
      name,
      (state) => at(state[key], path),
      (state, value) => put(state, key, path, value),
    );

  roots.layer.append(layerGrid(entry));
  roots.logits.append(
    ...CLASSES.map((i) =>
      html(
        "div",
        { class: "row" },
        html("span", { "aria-hidden": "true" }, pretty(logit(i))),
        entry("logits", [i], logit(i)),
      ),
    ),
  );
  for (const key of ["temperature", "smoothing", "rate"]) {
    const label = {
      temperature: "temperature T",
      smoothing: "label smoothing ε",
      rate: "learning rate η",
    }[key];
    roots[key].append(
      cell(
        key,
        RANGES[key],
        label,
        (state) => state[key],
        (state, value) => ({ ...state, [key]: value }),
      ),
    );
  }
  const targets = classChoices(roots.targets, "radio", "is right", (i) => change({ ...getState(), target: i }));
  const masks = classChoices(roots.masks, "checkbox", "is masked", (i, on) => {
    const masked = getState().masked.map((was, j) => (i === j ? on : was));
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

const at = (values, path) => path.reduce((inside, index) => inside[index], values);

function put(state, key, path, value) {
  const last = path.at(-1);
  at(state[key], path.slice(0, -1))[last] = value;
  return state;
}

/** The layer as a table: a row for the outputs in front, then one for each score. */
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
    {
      class: "grid",
      role: "group",
      "aria-label": "The layer: its inputs, weights and biases",
    },
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
      "aria-label": `class ${i + 4} ${label}`,
      change: (event) => chosen(i, event.target.checked),
    }),
  );
  root.append(...boxes.map((box, i) => html("label", {}, box, html("span", {}, pretty(probability(i))))));
  return boxes;
}
