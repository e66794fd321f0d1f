// What the network view is about: its numbers, the request they make, the reply in the terms of the picture.

export const INPUTS = [0, 1, 2];
export const CLASSES = [0, 1, 2];

/** The nodes as the article numbers them: o1 to o3 in front, z4 to z6 and a4 to a6 behind. */
export const input = (k) => `o${k + 1}`;
export const logit = (i) => `z${i + 4}`;
export const probability = (i) => `a${i + 4}`;
export const weight = (i, k) => `w${i + 4}${k + 1}`;
export const bias = (i) => `b${i + 4}`;

const ARTICLE = {
  source: "layer",
  inputs: [1, 0.5, 2],
  weights: [
    [0.4, 1.2, 0.5],
    [1, -0.8, 1.2],
    [1.5, 1, 1],
  ],
  bias: [0, 0, 0],
  logits: [2, 3, 4],
  target: 1,
  masked: [false, false, false],
  temperature: 1,
  smoothing: 0,
  rate: 0.1,
};

export const PRESETS = {
  article: { title: "The article: a layer that gives 2, 3, 4", state: ARTICLE },
  scores: {
    title: "Scores by hand: 2, 3, 4",
    state: { ...ARTICLE, source: "logits" },
  },
  small: {
    title: "Scores by hand: 3, 1, −3",
    state: { ...ARTICLE, source: "logits", logits: [3, 1, -3], target: 0 },
  },
  blank: {
    title: "Nothing learned yet: every weight 0",
    state: {
      ...ARTICLE,
      weights: [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ],
    },
  },
  wrong: {
    title: "Sure, and wrong",
    state: {
      ...ARTICLE,
      weights: [
        [2, 2, 2],
        [-1, -2, 0.5],
        [0.5, -1, 0],
      ],
      target: 1,
    },
  },
  confident: {
    title: "A gap of 40: tiny, but not 0",
    state: { ...ARTICLE, source: "logits", logits: [0, 40, 0] },
  },
  huge: {
    title: "Scores of 1000, where e^z overflows",
    state: { ...ARTICLE, source: "logits", logits: [1000, 999, 998] },
  },
};

/** A copy of a preset's numbers, free to be changed. */
export const preset = (name) => structuredClone(PRESETS[name].state);

const FORWARD = ["logits", "probabilities", "predictions", "loss", "jacobian", "logits_gradient"];
const LAYER = ["weights_gradient", "bias_gradient", "inputs_gradient", "updated_weights", "updated_bias"];

const kept = (state) => CLASSES.filter((i) => !state.masked[i]);

/** The request. A masked class is "-Infinity" among logits; of a layer its row is left out, as its weights must be finite. */
export function request(state) {
  const common = {
    temperature: state.temperature,
    label_smoothing: state.smoothing,
  };
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

/**
 * The reply by class, null where a masked class was left out of the request. `at[i]` is the place of class i in the
 * reply, -1 if it has none.
 */
export function byClass(state, reply) {
  const rows = state.source === "logits" ? CLASSES : kept(state);
  const at = CLASSES.map((i) => rows.indexOf(i));
  const spread = (values, absent = null) => values && at.map((place) => (place < 0 ? absent : values[place]));
  const none = [null, null, null];
  return {
    at,
    loss: reply.loss,
    prediction: rows[reply.predictions],
    logits: spread(reply.logits),
    probabilities: spread(reply.probabilities),
    jacobian: spread(
      reply.jacobian.map((row) => spread(row)),
      none,
    ),
    logits_gradient: spread(reply.logits_gradient),
    weights_gradient: spread(reply.weights_gradient, none),
    bias_gradient: spread(reply.bias_gradient),
    inputs_gradient: reply.inputs_gradient,
    updated_weights: spread(reply.updated_weights, none),
    updated_bias: spread(reply.updated_bias),
  };
}

/** The numbers after the step that the service worked out; a masked class stays as it is. */
export function stepped(state, result) {
  return {
    ...state,
    weights: state.weights.map((row, i) => (state.masked[i] ? row : result.updated_weights[i])),
    bias: state.bias.map((value, i) => (state.masked[i] ? value : result.updated_bias[i])),
  };
}

/** The target of each class, with its share of label smoothing; a class that was left out of the layer has none. */
export function targets(state) {
  const rows = state.source === "logits" ? CLASSES : kept(state);
  const spread = state.smoothing / rows.length;
  return CLASSES.map((i) => (rows.includes(i) ? (1 - state.smoothing) * (i === state.target) + spread : 0));
}
