// Nested lists of JSON as flat arrays.

import { Unreadable } from "./unreadable.js";

/** Return { shape, values } of nested lists of numbers. "-Infinity" excludes a class. Throws Unreadable with the place. */
export function flattenNested(nested, field) {
  const shape = [];
  for (let inside = nested; Array.isArray(inside); inside = inside[0]) shape.push(inside.length);
  const values = new Float64Array(shape.reduce((product, size) => product * size, 1));
  let filled = 0;

  function fill(value, path) {
    const place = field + path.map((at) => `[${at}]`).join("");
    const size = shape[path.length];
    if (size === undefined) {
      values[filled++] = toNumber(value, place, field);
      return;
    }
    if (!Array.isArray(value)) throw new Unreadable(field, `${place} is not a list; the entries before it are.`);
    if (value.length !== size)
      throw new Unreadable(field, `${place} has ${value.length} entries; the lists before it have ${size}.`);
    value.forEach((item, at) => fill(item, [...path, at]));
  }
  fill(nested, []);
  return { shape, values };
}

function toNumber(value, place, field) {
  if (typeof value === "number") return value;
  if (value === "-Infinity") return -Infinity;
  throw new Unreadable(field, `${place} is not a number.`);
}
