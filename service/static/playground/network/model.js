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

const kept = (state) => CLASSES.filter((i) => !state.masked[i]);

/** Return the request for a state. The rows of masked classes are left out of a layer. */
export function request(state) {
  const common = { temperature: state.temperature, label_smoothing: state.smoothing };
  if (state.source === "logits") {
    const logits = state.logits.map((value, i) => (state.masked[i] ? "-Infinity" : value));
    return { logits, targets: state.target, ...common, outputs: FORWARD };
  }
  const rows = kept(state);
  return {
    inputs: state.inputs,
    weights: rows.map((i) => state.weights[i]),
    bias: rows.map((i) => state.bias[i]),
    targets: rows.indexOf(state.target),
    ...common,
    learning_rate: state.rate,
    outputs: [...FORWARD, ...LAYER],
  };
}

/** Return a reply by class. `at[i]` is the position of class i in the reply, -1 if its row was left out. */
export function byClass(state, reply) {
  const rows = state.source === "logits" ? CLASSES : kept(state);
  const at = CLASSES.map((i) => rows.indexOf(i));
  const spread = (values, absent = 0) => values && at.map((place) => (place < 0 ? absent : values[place]));
  const zeros = [0, 0, 0];
  return {
    at,
    loss: reply.loss,
    prediction: rows[reply.predictions],
    logits: spread(reply.logits, "-Infinity"),
    probabilities: spread(reply.probabilities),
    jacobian: spread(
      reply.jacobian.map((row) => spread(row)),
      zeros,
    ),
    logits_gradient: spread(reply.logits_gradient),
    weights_gradient: spread(reply.weights_gradient, zeros),
    bias_gradient: spread(reply.bias_gradient),
    inputs_gradient: reply.inputs_gradient,
    updated_weights: state.weights && spread(reply.updated_weights, zeros),
    updated_bias: spread(reply.updated_bias),
  };
}

/** Return the state after the step of gradient descent in a reply. A masked class keeps its weights. */
export function stepped(state, result) {
  return {
    ...state,
    weights: state.weights.map((row, i) => (state.masked[i] ? row : result.updated_weights[i])),
    bias: state.bias.map((value, i) => (state.masked[i] ? value : result.updated_bias[i])),
  };
}

/** Return the target y of each class. Label smoothing takes a share of the right class and gives it to all classes. */
export function targets(state) {
  const share = state.smoothing / kept(state).length;
  return CLASSES.map((i) => (state.masked[i] ? 0 : (1 - state.smoothing) * (i === state.target) + share));
}

/** Return the classes whose probability is the largest; more than one if they tie. */
export function winners({ probabilities }) {
  const most = Math.max(...probabilities);
  return CLASSES.filter((i) => probabilities[i] === most);
}
