// Starting points for the numbers of the network.

const ZEROS = [
  [0, 0, 0],
  [0, 0, 0],
  [0, 0, 0],
];

/** The example of the article: a layer whose scores are 2, 3 and 4, while the second class is right. */
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

const SURE_AND_WRONG = [
  [2, 2, 2],
  [-1, -2, 0.5],
  [0.5, -1, 0],
];

export const PRESETS = {
  article: { title: "The article: a layer that gives 2, 3, 4", state: ARTICLE },
  scores: { title: "Scores by hand: 2, 3, 4", state: { ...ARTICLE, source: "logits" } },
  small: {
    title: "Scores by hand: 3, 1, −3",
    state: { ...ARTICLE, source: "logits", logits: [3, 1, -3], target: 0 },
  },
  blank: { title: "Nothing learned: every weight 0", state: { ...ARTICLE, weights: ZEROS } },
  wrong: { title: "Sure, and wrong", state: { ...ARTICLE, weights: SURE_AND_WRONG } },
  confident: {
    title: "A gap of 40: a tiny loss, not 0",
    state: { ...ARTICLE, source: "logits", logits: [0, 40, 0] },
  },
  huge: {
    title: "Scores near 1000: e^z overflows",
    state: { ...ARTICLE, source: "logits", logits: [1000, 999, 998] },
  },
};

/** Return a copy of the numbers of a preset. */
export const preset = (name) => structuredClone(PRESETS[name].state);

/** Return the name of the preset with these numbers, undefined if there is none. */
export function presetOf(state) {
  const text = JSON.stringify(state);
  return Object.keys(PRESETS).find((name) => JSON.stringify(PRESETS[name].state) === text);
}
