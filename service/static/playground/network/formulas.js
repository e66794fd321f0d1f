// What is selected, as a formula with its numbers in it. The results are the service's; here they are only put in place.

import { html } from "../dom.js";
import { number, pretty, short, show } from "../format.js";
import { CLASSES, INPUTS, bias, input, logit, probability, targets, weight } from "./model.js";

const TINY = 1e-4;
const CLOSE =
  "Four digits cannot tell that probability from 1. The service adds up the other probabilities instead of taking it from 1, so the loss and its gradient keep all their digits.";

const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);
const put = (value) => bracket(short(value));
const prob = (value) => bracket(number(value));

/** A law, the same with numbers, and the number of the reply that it comes to. */
function line(law, numbers, output, value) {
  const result = show(html("strong"), output, value);
  return html("p", { class: "formula" }, html("span", {}, law), html("span", {}, "= ", numbers, " = ", result));
}

const words = (...texts) => html("p", {}, ...texts);

/** The title and the lines for a node or a weight. */
export function explain(view) {
  const [kind, ...digits] = view.selected;
  const [i, k] = [Number(digits[0]) - 4, Number(digits[1] ?? digits[0]) - 1];
  const gone = kind !== "o" && kind !== "L" && view.state.masked[i];
  if (gone)
    return [
      title(view.selected),
      words("Class ", String(i + 4), " is masked: its probability is 0, and nothing flows back through it."),
    ];
  const hand = view.state.source === "logits" && (kind === "o" || kind === "w");
  if (hand) return [title(view.selected), words("The scores are set by hand; there is no layer in front of them.")];
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
  const present = CLASSES.filter((i) => !state.masked[i]);
  const law = present.map((i) => `∂L/∂${pretty(logit(i))} ${pretty(weight(i, k))}`).join(" + ");
  const numbers = present.map((i) => `${prob(result.logits_gradient[i])} · ${put(state.weights[i][k])}`).join(" + ");
  return [
    title(input(k), ", an output of the layer in front"),
    words("It feeds every score, so the blame of every score comes back to it, each by its weight."),
    line(`∂L/∂${pretty(input(k))} = ${law}`, numbers, `inputs_gradient.${k}`, result.inputs_gradient[k]),
  ];
}

function explainWeight({ state, result }, i, k) {
  const [name, z, o] = [weight(i, k), logit(i), input(k)].map(pretty);
  const gradient = result.weights_gradient[i][k];
  return [
    title(weight(i, k), `, the weight from ${o} to ${z}`),
    line(
      `∂L/∂${name} = ∂L/∂${z} · ${o}`,
      `${prob(result.logits_gradient[i])} · ${put(state.inputs[k])}`,
      `weights_gradient.${result.at[i]}.${k}`,
      gradient,
    ),
    words("A step of gradient descent goes against it:"),
    line(
      `${name} − η · ∂L/∂${name}`,
      `${put(state.weights[i][k])} − ${put(state.rate)} · ${prob(gradient)}`,
      `updated_weights.${result.at[i]}.${k}`,
      result.updated_weights[i][k],
    ),
  ];
}

function explainLogit({ state, result }, i) {
  const z = pretty(logit(i));
  const lines = [title(logit(i), ", the score of a class")];
  if (state.source === "layer") {
    const law = INPUTS.map((k) => pretty(weight(i, k)) + pretty(input(k))).join(" + ");
    const numbers = INPUTS.map((k) => `${put(state.weights[i][k])} · ${put(state.inputs[k])}`).join(" + ");
    const output = `logits.${result.at[i]}`;
    lines.push(
      line(`${z} = ${law} + ${pretty(bias(i))}`, `${numbers} + ${put(state.bias[i])}`, output, result.logits[i]),
    );
  }
  lines.push(words(`If ${z} rises, one probability rises with it, the others fall:`));
  lines.push(...CLASSES.filter((j) => !state.masked[j]).map((j) => derivative(state, result, j, i)));
  lines.push(words("Chained with the loss, all of that becomes very short:"), gradientLine(state, result, i));
  return lines;
}

function explainProbability({ state, result }, j) {
  const a = pretty(probability(j));
  const present = CLASSES.filter((i) => !state.masked[i]);
  const over = state.temperature === 1 ? "" : "/T";
  const power = (i) => `e^(${put(result.logits[i])}${state.temperature === 1 ? "" : `/${short(state.temperature)}`})`;
  const sum = present.map((i) => `e^(${pretty(logit(i))}${over})`).join(" + ");
  return [
    title(probability(j), ", the probability of a class"),
    line(
      `${a} = e^(${pretty(logit(j))}${over}) / (${sum})`,
      `${power(j)} / (${present.map(power).join(" + ")})`,
      `probabilities.${result.at[j]}`,
      result.probabilities[j],
    ),
    words("Its derivative has two cases, its own score and any other:"),
    ...present.map((i) => derivative(state, result, j, i)),
  ];
}

/** Derivative of probability j by logit i: the two cases of softmax. */
function derivative(state, result, j, i) {
  const [aj, ai] = [pretty(probability(j)), pretty(probability(i))];
  const [pj, pi] = [number(result.probabilities[j]), number(result.probabilities[i])];
  const over = state.temperature === 1 ? "" : " / T";
  const divided = state.temperature === 1 ? "" : ` / ${short(state.temperature)}`;
  const law = i === j ? `${aj}(1 − ${aj})${over}` : `−${aj}${ai}${over}`;
  const numbers = i === j ? `${pj} · (1 − ${pj})${divided}` : `−${pj} · ${pi}${divided}`;
  const output = `jacobian.${result.at[j]}.${result.at[i]}`;
  return line(`∂${aj}/∂${pretty(logit(i))} = ${law}`, numbers, output, result.jacobian[j][i]);
}

function gradientLine(state, result, i) {
  const a = pretty(probability(i));
  const scaled = state.temperature !== 1;
  const law = `${a} − ${pretty(`t${i + 4}`)}`;
  const numbers = `${number(result.probabilities[i])} − ${short(targets(state)[i])}`;
  return line(
    `∂L/∂${pretty(logit(i))} = ${scaled ? `(${law}) / T` : law}`,
    scaled ? `(${numbers}) / ${short(state.temperature)}` : numbers,
    `logits_gradient.${result.at[i]}`,
    result.logits_gradient[i],
  );
}

function explainLoss({ state, result }) {
  const counted = CLASSES.filter((i) => targets(state)[i] > 0);
  const factor = (i) => (targets(state)[i] === 1 ? "" : `${short(targets(state)[i])} · `);
  const law = counted
    .map((i) => `${targets(state)[i] === 1 ? "" : `${pretty(`t${i + 4}`)} `}ln ${pretty(probability(i))}`)
    .join(" + ");
  const numbers = counted.map((i) => `${factor(i)}ln ${number(result.probabilities[i])}`).join(" + ");
  const several = counted.length > 1;
  const excluded = counted.some((i) => state.masked[i]);
  return [
    title("L", ", the cross-entropy loss"),
    words("How surprised the network is by the right class: 0 if it was sure of it, without end if it ruled it out."),
    line(several ? `L = −(${law})` : `L = −${law}`, several ? `−(${numbers})` : `−${numbers}`, "loss", result.loss),
    ...(excluded ? [words("Smoothing gives the masked class a share of the target, and ln 0 has no end.")] : []),
    ...(Math.abs(Number(result.loss)) < TINY ? [words(CLOSE)] : []),
    words("Going back, each score gets its probability less its target:"),
    ...CLASSES.filter((i) => !state.masked[i]).map((i) => gradientLine(state, result, i)),
  ];
}
