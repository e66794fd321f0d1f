// The numbers of the network: their names, the request they make, and the reply in terms of the picture.

export const INPUTS = [0, 1, 2];
export const CLASSES = [0, 1, 2];

/** Names of the nodes as in the article: o1 to o3 in front, z4 to z6 and a4 to a6 behind. */
export const input = (k) => `o${k + 1}`;
export const logit = (i) => `z${i + 4}`;
export const probability = (i) => `a${i + 4}`;
export const weight = (i, k) => `w${i + 4}${k + 1}`;
export const bias = (i) => `b${i + 4}`;
export const target = (i) => `y${i + 4}`;

const FORWARD = ["logits", "probabilities", "predictions", "loss", "jacobian", "logits_gradient"];
const LAYER = ["weights_gradient", "bias_gradient", "inputs_gradient", "updated_weights", "updated_bias"];

/** Return the request for a state. */
export function request(state) {
  const scores =
    state.source === "logits"
      ? { logits: state.logits }
      : { inputs: state.inputs, weights: state.weights, bias: state.bias, learning_rate: state.rate };
  return {
    ...scores,
    ...(state.masked.includes(true) && { mask: state.masked.map((isMasked) => (isMasked ? 0 : 1)) }),
    targets: state.target,
    temperature: state.temperature,
    label_smoothing: state.smoothing,
    outputs: state.source === "logits" ? FORWARD : [...FORWARD, ...LAYER],
  };
}

/** Return the state after the step of gradient descent in a reply. */
export const stepped = (state, { updated_weights, updated_bias }) => ({
  ...state,
  weights: updated_weights,
  bias: updated_bias,
});

/** Return the classes that are not masked. */
export const present = (state) => CLASSES.filter((i) => !state.masked[i]);

/** Return the target y of each class. Label smoothing takes a share of the right class and gives it to all classes. */
export function targets(state) {
  const share = state.smoothing / present(state).length;
  return CLASSES.map((i) => (state.masked[i] ? 0 : (1 - state.smoothing) * (i === state.target) + share));
}

/** Return the classes whose probability is the largest; more than one if they tie. */
export function winners({ probabilities }) {
  const most = Math.max(...probabilities);
  return CLASSES.filter((i) => probabilities[i] === most);
}
