// The picture is one stop of the tab key; the arrow keys move inside it.

import { CLASSES, INPUTS, input, logit, probability, weight } from "./model.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// a column for each move to the side, its items for those up and down
const COLUMNS = [
  INPUTS.map(input),
  CLASSES.flatMap((i) => INPUTS.map((k) => weight(i, k))),
  CLASSES.map(logit),
  CLASSES.map(probability),
  ["L"],
];

const within = (list, place) => list[Math.max(0, Math.min(list.length - 1, place))];

/** The name that an arrow key leads to from another; undefined for any other key. */
function next(name, key) {
  const [aside, down] = MOVES[key] ?? [];
  if (aside === undefined) return undefined;
  const at = COLUMNS.findIndex((names) => names.includes(name));
  const row = COLUMNS[at].indexOf(name);
  const column = within(COLUMNS, at + aside);
  return within(column, aside ? Math.floor((row / COLUMNS[at].length) * column.length) : row + down);
}

/** Lets the arrow keys move among the groups below an element; `groups()` gives them by name. */
export function walkable(root, groups) {
  root.addEventListener("keydown", (event) => {
    const name = next(event.target.dataset.name, event.key);
    if (!name) return;
    event.preventDefault();
    groups().get(name).focus();
  });
  root.addEventListener("focusin", (event) => makeStop(groups(), event.target));
}

/** Makes one of the groups the stop of the tab key. */
export function makeStop(groups, stop) {
  for (const group of groups.values()) group.setAttribute("tabindex", group === stop ? 0 : -1);
}
