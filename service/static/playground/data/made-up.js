// Made-up rows for those who have none at hand.

import { writeNpy } from "./npy.js";

const ROWS = 2000;
const NAMES = ["cat", "dog", "fox", "owl", "bee", "ant", "cow", "hen", "pig", "rat"];

/** Return the dataset of a classifier that is often right and always too sure. It is the same every time. */
export function madeUp() {
  let seed = 7;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const labels = Array.from({ length: ROWS }, () => Math.floor(random() * NAMES.length));
  const logits = labels.flatMap((label) =>
    NAMES.map((_, i) => {
      const likeness = i === (label + 1) % NAMES.length ? 1.2 : 0;
      return Number((3 * (normal() + likeness + (i === label ? 2.4 : 0))).toFixed(3));
    }),
  );
  return {
    logits: writeNpy([ROWS, NAMES.length], logits),
    classes: NAMES.length,
    targets: writeNpy([ROWS], labels),
    classNames: NAMES,
  };
}
