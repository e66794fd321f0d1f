// The explanation of the selected node or weight, as formulas with their numbers.

import { html } from "../dom.js";
import { number, pretty, short } from "../format.js";
import { chain, derivative, gradient, passedBack } from "./chain.js";
import { bracket, line, put, words } from "./formulas.js";
import { CLASSES, INPUTS, bias, input, logit, present, probability, target, targets, weight } from "./model.js";

const TINY = 1e-4;
const NEAR_ONE =
  "Four digits cannot tell this probability from 1. The service adds up the other probabilities instead of subtracting from 1, so the loss and its gradient keep all their digits.";

/** Return the elements that explain the selected node or weight of a view. */
export function explain(view) {
  const { selected, state } = view;
  const [kind, ...digits] = selected;
  const [i, k] = [Number(digits[0]) - 4, Number(digits[1] ?? digits[0]) - 1];
  const isMasked = kind !== "o" && kind !== "L" && state.masked[i];
  if (isMasked)
    return [
      title(selected),
      words(
        `Class ${i} is masked: its score counts as −∞, so its probability is 0. Nothing flows back through it, and the other classes share all of the probability.`,
      ),
    ];
  if (state.source === "logits" && (kind === "o" || kind === "w"))
    return [title(selected), words("The scores are set by hand. No layer is in front of them.")];
  return {
    o: () => explainInput(view, k),
    w: () => explainWeight(view, i, k),
    z: () => explainLogit(view, i),
    a: () => explainProbability(view, i),
    L: () => explainLoss(view),
  }[kind]();
}

const title = (name, text = "") => html("h3", {}, pretty(name), text);

function explainInput({ state, result }, k) {
  const law = present(state).map((i) => `∂L/∂${pretty(logit(i))} ${pretty(weight(i, k))}`);
  const numbers = present(state).map(
    (i) => `${bracket(number(result.logits_gradient[i]))} · ${put(state.weights[i][k])}`,
  );
  return [
    title(input(k), ", an output of the layer in front"),
    words("It feeds every score. So the gradient of every score comes back to it, each times its weight."),
    line(
      `∂L/∂${pretty(input(k))} = ${law.join(" + ")}`,
      numbers.join(" + "),
      result.inputs_gradient[k],
      `inputs_gradient.${k}`,
    ),
    words("A deeper network passes this number on to the layer in front."),
  ];
}

function explainWeight({ state, result }, i, k) {
  const [name, z, o] = [weight(i, k), logit(i), input(k)].map(pretty);
  const found = result.weights_gradient[i][k];
  return [
    title(weight(i, k), `, the weight from ${o} to ${z}`),
    words(`${z} changes by ${o} when the weight changes by 1. So its gradient is that of ${z}, times ${o}:`),
    line(
      `∂L/∂${name} = ∂L/∂${z} · ${o}`,
      `${bracket(number(result.logits_gradient[i]))} · ${put(state.inputs[k])}`,
      found,
      `weights_gradient.${i}.${k}`,
    ),
    words("A step of gradient descent moves the weight against its gradient:"),
    line(
      `${name} − η · ∂L/∂${name}`,
      `${put(state.weights[i][k])} − ${put(state.rate)} · ${bracket(number(found))}`,
      result.updated_weights[i][k],
      `updated_weights.${i}.${k}`,
    ),
  ];
}

function explainLogit(view, i) {
  const { state, result, flow } = view;
  const z = pretty(logit(i));
  const lines = [title(logit(i), `, the score of class ${i}`)];
  if (state.source === "layer") {
    const law = INPUTS.map((k) => pretty(weight(i, k)) + pretty(input(k))).join(" + ");
    const numbers = INPUTS.map((k) => `${put(state.weights[i][k])} · ${put(state.inputs[k])}`).join(" + ");
    lines.push(
      line(`${z} = ${law} + ${pretty(bias(i))}`, `${numbers} + ${put(state.bias[i])}`, result.logits[i], `logits.${i}`),
    );
  }
  if (flow === "backward") return [...lines, ...chain(view, [i])];
  return [
    ...lines,
    words(`If ${z} rises, its own probability rises and the others fall:`),
    ...present(state).map((j) => derivative(view, j, i)),
    words("The loss has a short gradient for this score. Choose Backward to see where it comes from:"),
    gradient(view, i),
  ];
}

function explainProbability(view, j) {
  const { state, result, flow } = view;
  const a = pretty(probability(j));
  const isScaled = state.temperature !== 1;
  const power = (i) => `e^(${put(result.logits[i])}${isScaled ? `/${short(state.temperature)}` : ""})`;
  const symbol = (i) => `e^(${pretty(logit(i))}${isScaled ? "/T" : ""})`;
  const sum = (form) => present(state).map(form).join(" + ");
  const lines = [
    title(probability(j), `, the probability of class ${j}`),
    line(
      `${a} = ${symbol(j)} / (${sum(symbol)})`,
      `${power(j)} / (${sum(power)})`,
      result.probabilities[j],
      `probabilities.${j}`,
    ),
    words("Its derivative has two cases: its own score, and any other score."),
    ...present(state).map((i) => derivative(view, j, i)),
  ];
  return flow === "backward" ? [...lines, ...passedBack(view, j)] : lines;
}

function explainLoss(view) {
  const { state, result, flow } = view;
  const ys = targets(state);
  const counted = CLASSES.filter((i) => ys[i] > 0);
  const term = (i, factor, a) => (ys[i] === 1 ? `ln ${a}` : `${factor} ln ${a}`);
  const law = counted.map((i) => term(i, pretty(target(i)), pretty(probability(i)))).join(" + ");
  const numbers = counted.map((i) => term(i, `${short(ys[i])} ·`, number(result.probabilities[i]))).join(" + ");
  const isSum = counted.length > 1;
  const lines = [
    title("L", ", the cross-entropy loss"),
    words("It is 0 if the network was certain of the right class, and grows without end as that probability nears 0."),
    line(`L = −${isSum ? `(${law})` : law}`, `−${isSum ? `(${numbers})` : numbers}`, result.loss, "loss"),
  ];
  if (Math.abs(Number(result.loss)) < TINY) lines.push(words(NEAR_ONE));
  if (flow === "backward") return [...lines, ...chain(view, present(state))];
  return [
    ...lines,
    words("Its gradient for each score is the probability minus the target y. Choose Backward to see why:"),
    ...present(state).map((i) => gradient(view, i)),
  ];
}
