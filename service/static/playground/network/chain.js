// The chain rule from the loss back to a score, with every factor and product visible.

import { number, pretty, short } from "../format.js";
import { bracket, line, put, words } from "./formulas.js";
import { CLASSES, logit, probability, target, targets } from "./model.js";

/** Return ∂L/∂a of each class, the derivative of L = −Σ y ln a: −y / a. A class without a target has 0. */
export const lossSlopes = (state, result) => targets(state).map((y, i) => (y === 0 ? 0 : -y / result.probabilities[i]));

const overT = (state) => (state.temperature === 1 ? "" : " / T");
const overNumber = (state) => (state.temperature === 1 ? "" : ` / ${short(state.temperature)}`);

/**
 * Return 1 − a of class j as { law, numbers }. If four digits cannot tell a from 1, it is the sum of the other
 * probabilities, as the service computes it.
 */
function complement({ result, state }, j) {
  const others = CLASSES.filter((i) => i !== j && !state.masked[i]);
  const isHidden = number(result.probabilities[j]) === "1.0000" && others.length > 0;
  const sum = (form) => others.map(form).join(" + ");
  if (!isHidden) return { law: `1 − ${pretty(probability(j))}`, numbers: `1 − ${number(result.probabilities[j])}` };
  return {
    law: sum((i) => pretty(probability(i))),
    numbers: sum((i) => number(result.probabilities[i])),
    isHidden,
  };
}

/** Return the formula of ∂a_j/∂z_i: the two cases of the derivative of softmax. */
export function derivative(view, j, i) {
  const { state, result } = view;
  const [aj, ai] = [pretty(probability(j)), pretty(probability(i))];
  const [pj, pi] = [number(result.probabilities[j]), number(result.probabilities[i])];
  const rest = complement(view, j);
  const law = i === j ? `${aj}(${rest.law})` : `−${aj}${ai}`;
  const numbers = i === j ? `${pj} · (${rest.numbers})` : `−${pj} · ${pi}`;
  return line(
    `∂${aj}/∂${pretty(logit(i))} = ${law}${overT(state)}`,
    numbers + overNumber(state),
    result.jacobian[j][i],
    `jacobian.${j}.${i}`,
  );
}

/** Return the formula of ∂L/∂a_j. */
export function slope({ state, result }, j) {
  const [a, y] = [pretty(probability(j)), targets(state)[j]];
  const isWhole = y === 1 || y === 0;
  return line(
    `∂L/∂${a} = −${isWhole ? short(y) : pretty(target(j))}/${a}`,
    `−${short(y)}/${number(result.probabilities[j])}`,
    lossSlopes(state, result)[j],
  );
}

/** Return the formula of the product of ∂L/∂a_j and ∂a_j/∂z_i. */
export function product({ state, result }, j, i) {
  const [a, z] = [pretty(probability(j)), pretty(logit(i))];
  const [outer, inner] = [lossSlopes(state, result)[j], result.jacobian[j][i]];
  return line(`∂L/∂${a} · ∂${a}/∂${z}`, `${bracket(number(outer))} · ${bracket(number(inner))}`, outer * inner);
}

/** Return the short formula ∂L/∂z_i = a − y, with the number that the service computed. */
export function gradient(view, i) {
  const { state, result } = view;
  const y = targets(state)[i];
  const rest = complement(view, i);
  const isHidden = rest.isHidden && y === 1;
  const law = isHidden ? `−(${rest.law})` : `${pretty(probability(i))} − ${pretty(target(i))}`;
  const numbers = isHidden ? `−(${rest.numbers})` : `${number(result.probabilities[i])} − ${short(y)}`;
  const isScaled = state.temperature !== 1;
  return line(
    `∂L/∂${pretty(logit(i))} = ${isScaled ? `(${law}) / T` : law}`,
    isScaled ? `(${numbers}) / ${short(state.temperature)}` : numbers,
    result.logits_gradient[i],
    `logits_gradient.${i}`,
  );
}

/** Return the whole chain for some scores: the factors, their products, and the short form that remains. */
export function chain(view, scores) {
  const { state, result } = view;
  const reached = CLASSES.filter((j) => targets(state)[j] > 0);
  if (reached.some((j) => result.probabilities[j] === 0))
    return [
      words("A probability in this chain is 0 to the last digit, and −1/0 cannot be multiplied."),
      words("The short form has no division. The service uses it, so its gradient is exact here too:"),
      ...scores.map((i) => gradient(view, i)),
    ];
  return [
    words(`The way back, first from the loss to the ${reached.length === 1 ? "right class" : "probabilities"}:`),
    ...reached.map((j) => slope(view, j)),
    ...scores.flatMap((i) => toScore(view, reached, i)),
  ];
}

function toScore(view, reached, i) {
  return [
    words(`Then through softmax to ${pretty(logit(i))}: its derivative, times what came back.`),
    ...reached.flatMap((j) => [derivative(view, j, i), product(view, j, i)]),
    words(
      reached.length === 1
        ? cancelled(view, reached[0], i)
        : "In each product the a of ∂L/∂a cancels. The products sum to the short form:",
    ),
    gradient(view, i),
  ];
}

/** Return the sentence that shows how the probability of the right class j cancels in the product for score i. */
function cancelled({ state }, j, i) {
  const [aj, ai] = [pretty(probability(j)), pretty(probability(i))];
  const inner = i === j ? `${aj}(1 − ${aj})` : `(−${aj}${ai})`;
  const rest = i === j ? `−(1 − ${aj}) = ${aj} − 1` : ai;
  return `${aj} cancels: −(1/${aj}) · ${inner}${overT(state)} = ${rest}${overT(state)}. That is the short form:`;
}

/** Return the products that one probability passes back to all scores. */
export function passedBack(view, j) {
  const { state, result } = view;
  const a = pretty(probability(j));
  if (targets(state)[j] === 0)
    return [
      words(`Going back, ∂L/∂${a} = 0: class ${j} has no target, so the loss does not look at ${a}.`),
      words(`Its score still gets a gradient, through the probability of the right class.`),
    ];
  if (result.probabilities[j] === 0) return [words(`Going back, −1/${a} has no number, because ${a} is 0.`)];
  return [
    words(`Going back, first from the loss to ${a}. The smaller the probability, the steeper the slope:`),
    slope(view, j),
    words(`Times both cases, ${a} passes this on to each score:`),
    ...CLASSES.filter((i) => !state.masked[i]).map((i) => product(view, j, i)),
  ];
}
