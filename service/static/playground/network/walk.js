// Keyboard access to the picture: Tab reaches it once, and the arrow keys move inside it.

import { CLASSES, INPUTS, input, logit, probability, weight } from "./model.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Left and right move between the columns, up and down inside one.
const COLUMNS = [
  INPUTS.map(input),
  CLASSES.flatMap((i) => INPUTS.map((k) => weight(i, k))),
  CLASSES.map(logit),
  CLASSES.map(probability),
  ["L"],
];

const within = (list, place) => list[Math.max(0, Math.min(list.length - 1, place))];

/** Return the name that a key leads to from another name, undefined if it is not an arrow key. */
function next(name, key) {
  const [aside, down] = MOVES[key] ?? [];
  if (aside === undefined) return undefined;
  const at = COLUMNS.findIndex((names) => names.includes(name));
  const row = COLUMNS[at].indexOf(name);
  const column = within(COLUMNS, at + aside);
  return within(column, aside ? Math.floor((row / COLUMNS[at].length) * column.length) : row + down);
}

/** Let the arrow keys move between groups inside an element. `groups()` returns them by name. */
export function walkable(root, groups) {
  root.addEventListener("keydown", (event) => {
    const name = next(event.target.dataset.name, event.key);
    if (!name) return;
    event.preventDefault();
    groups().get(name).focus();
  });
  root.addEventListener("focusin", (event) => makeStop(groups(), event.target));
}

/** Make one of the groups the one that Tab reaches. */
export function makeStop(groups, stop) {
  for (const group of groups.values()) group.setAttribute("tabindex", group === stop ? 0 : -1);
}
