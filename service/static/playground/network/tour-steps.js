// The steps of the guided tour: each sets up the page, explains one idea and suggests one experiment.

import { preset } from "./presets.js";

const article = (changes = {}) => ({ ...preset("article"), ...changes });
const byHand = (...logits) => article({ source: "logits", logits });

const flatter = preset("article");
flatter.weights[1][2] = 0;

/**
 * Each step has a title, paragraphs, the view it opens, and an experiment. An experiment either opens another view or
 * runs steps of gradient descent.
 */
export const STEPS = [
  {
    title: "Scores",
    text: [
      "A network looked at something and gave three classes the scores 2, 3 and 4. A score can be any number, also a negative one. On their own, scores do not say how likely a class is.",
      "Each score is a weighted sum: z₅ = 1 · 1 − 0.8 · 0.5 + 1.2 · 2 = 3.",
    ],
    view: { state: article(), flow: "forward", selected: "z5" },
    experiment: { text: "Set the weight w₅₃ to 0. The score z₅ falls from 3 to 0.6.", view: { state: flatter } },
  },
  {
    title: "Exponentials",
    text: [
      "Softmax first raises e to each score: e² = 7.39, e³ = 20.09, e⁴ = 54.60. The results are all positive, and their order stays the same.",
      "One point more of score always means 2.718 times as much.",
    ],
    view: { state: article(), flow: "forward", selected: "a5" },
    experiment: {
      text: "Add 100 to all scores. The probabilities do not change, because only the differences count.",
      view: { state: byHand(102, 103, 104) },
    },
  },
  {
    title: "Shares",
    text: [
      "Then each exponential is divided by their sum, 82.07. That gives the shares 0.0900, 0.2447 and 0.6652. They lie between 0 and 1 and sum to 1, so they can be read as probabilities.",
      "The class with the largest share is the prediction. Here it is a₆, class 2.",
    ],
    view: { state: article(), flow: "forward", selected: "a6" },
    experiment: {
      text: "Give all classes the same score. Each gets one third, and the page reports the tie.",
      view: { state: byHand(3, 3, 3) },
    },
  },
  {
    title: "Loss",
    text: [
      "Class 1 is right, but the network gave it only 0.2447. The loss says how bad that is: L = −ln 0.2447 = 1.4076.",
      "A probability of 1 would cost nothing. The closer to 0, the larger the loss.",
    ],
    view: { state: article(), flow: "forward", selected: "L" },
    experiment: {
      text: "Let class 2 be right instead. It had 0.6652, so the loss falls to 0.4076.",
      view: { state: article({ target: 2 }) },
    },
  },
  {
    title: "Backwards",
    text: [
      "To learn, the network asks how the loss changes with each score. From the loss to a₅, the slope is −1/0.2447 = −4.0862. Softmax then spreads it over the scores by the two cases of its derivative.",
      "The factor a₅ cancels, and little remains: probability minus target. The gradient is 0.0900, −0.7553, 0.6652.",
    ],
    view: { state: article(), flow: "backward", selected: "z5" },
    experiment: {
      text: "Look at z₄, a wrong class. Its product is (−4.0862) · (−0.0220) = 0.0900, which is a₄ itself.",
      view: { state: article(), selected: "z4" },
    },
  },
  {
    title: "One step of descent",
    text: [
      "The gradient of a weight is the gradient of its score, times the output in front of it: (−0.7553) · 2 = −1.5105 for w₅₃. A step moves each weight a little against its gradient.",
      "With the learning rate η = 0.1, w₅₃ grows from 1.2 to 1.3511.",
    ],
    view: { state: article(), flow: "backward", selected: "w53" },
    experiment: { text: "Run fifty steps. The loss falls from 1.4076 to 0.0215.", steps: 50 },
  },
  {
    title: "Temperature",
    text: [
      "A temperature T divides all scores before softmax. With T = 2, the shares become more even: 0.1863, 0.3072, 0.5065. Below 1 it makes them sharper.",
      "The prediction stays the same. Only the certainty changes.",
    ],
    view: { state: article({ temperature: 2 }), flow: "forward", selected: "a6" },
    experiment: {
      text: "Set T to 0.5. The largest share grows to 0.8668.",
      view: { state: article({ temperature: 0.5 }) },
    },
  },
  {
    title: "Mask and smoothing",
    text: [
      "A mask excludes a class that cannot be right. Without class 2, its 0.6652 goes to the others in proportion: 0.2689 and 0.7311.",
      "Label smoothing does not trust the label completely. It moves a part ε of the target from the right class to all classes, so that the network never aims for certainty.",
    ],
    view: { state: article({ masked: [false, false, true] }), flow: "forward", selected: "a6" },
    experiment: {
      text: "Remove the mask and set ε to 0.3. The targets become 0.1, 0.8 and 0.1, and even a₄ is now below its target.",
      view: { state: article({ smoothing: 0.3 }), flow: "backward", selected: "z4" },
    },
  },
];
