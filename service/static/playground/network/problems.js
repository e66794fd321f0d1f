// Error messages of the network view, each beside the control that caused it.

import { byId } from "../dom.js";
import { askForKey } from "../key-field.js";

/** The control of a field of the request, where it has another name. */
const PLACES = {
  label_smoothing: "smoothing",
  learning_rate: "rate",
  bias: "weights",
  logits: "weights",
  inputs: "weights",
};

/** Show an error beside its control. Without an error, remove all messages. */
export function showProblem(error) {
  for (const place of document.querySelectorAll("#network-view .problem:not(#problem-link)")) place.textContent = "";
  if (!error) return;
  askForKey(error);
  const place = byId(`problem-${PLACES[error.field] ?? error.field}`) ?? byId("problem-network");
  place.textContent = error.message;
}
