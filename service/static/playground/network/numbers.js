// The numbers of the picture as tables.

import { html, scroller, table } from "../dom.js";
import { pretty, short, show } from "../format.js";
import { lossSlopes } from "./chain.js";
import { CLASSES, INPUTS, input, logit, probability, weight } from "./model.js";

/** Fill an element with the numbers of a view. */
export function drawNumbers(root, { state, result }) {
  const value = (output, found) => show(html("data", { value: found }), output, found);
  const classes = CLASSES.map((i) => {
    return [
      `${pretty(logit(i))}, ${pretty(probability(i))} (class ${i})`,
      value(`logits.${i}`, result.logits[i]),
      value(`probabilities.${i}`, result.probabilities[i]),
      short(lossSlopes(state, result)[i]),
      value(`logits_gradient.${i}`, result.logits_gradient[i]),
    ];
  });
  const tables = [table("Classes", ["class", "score z", "probability a", "∂L/∂a", "∂L/∂z"], classes)];
  if (state.source === "layer") {
    const rows = CLASSES.flatMap((i) =>
      INPUTS.map((k) => [
        pretty(weight(i, k)),
        short(state.weights[i][k]),
        value(`weights_gradient.${i}.${k}`, result.weights_gradient[i][k]),
        value(`updated_weights.${i}.${k}`, result.updated_weights[i][k]),
      ]),
    );
    tables.push(table("Weights", ["weight", "now", "∂L/∂w", "after a step"], rows));
    const inputs = INPUTS.map((k) => [
      pretty(input(k)),
      short(state.inputs[k]),
      value(`inputs_gradient.${k}`, result.inputs_gradient[k]),
    ]);
    tables.push(table("Outputs of the layer in front", ["output", "now", "∂L/∂o"], inputs));
  }
  root.replaceChildren(...tables.map((each) => scroller(each.caption.textContent, each)));
}
