// The frame of a card of results.

import { html } from "../dom.js";

/** Create a card with a title, a sentence and its content. */
export const card = (title, text, ...children) =>
  html("section", { class: "card" }, html("h3", {}, title), html("p", { class: "quiet" }, text), ...children);
