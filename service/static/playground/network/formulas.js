// Formulas as elements: a law, the same law with numbers, and its result.

import { html } from "../dom.js";
import { number, short, show } from "../format.js";

/** Return a text in brackets if it starts with a minus sign. */
export const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

/** Return a number for the middle of a formula. */
export const put = (value) => bracket(short(value));

/** Create a formula. With an output, the result is that number of the reply. */
export function line(law, numbers, value, output) {
  const result = html("strong", {}, number(value));
  if (output) show(result, output, value);
  return html("p", { class: "formula" }, html("span", {}, law), html("span", {}, "= ", numbers, " = ", result));
}

/** Create a paragraph. */
export const words = (...texts) => html("p", {}, ...texts);
