// The result in one sentence, for the eye at once and for screen readers once the numbers rest.

import { byId, html } from "../dom.js";
import { number, pretty, show } from "../format.js";
import { probability, winners } from "./model.js";

const strong = (text) => html("strong", {}, text);
const list = (names) => `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
const name = (i) => `${pretty(probability(i))} (class ${i})`;

/** Show the sentence and the loss of a view. */
export function summarize({ state, result }) {
  const { predictions: prediction, loss, probabilities } = result;
  const chosen = show(html("strong"), `probabilities.${prediction}`, probabilities[prediction]);
  const isRight = prediction === state.target;
  const tied = winners(result);
  const start =
    tied.length > 1
      ? [strong(list(tied.map(name))), " tie with ", chosen, ". The lowest class counts as the choice"]
      : ["The network chooses ", strong(name(prediction)), " with a probability of ", chosen];
  const end = isRight ? [", and that is right."] : [", but ", strong(name(state.target)), " is right."];
  byId("verdict").classList.toggle("right", isRight);
  byId("verdict").replaceChildren(...start, ...end);
  show(byId("loss"), "loss", loss);
}

/** Say the sentence to screen readers. */
export function speak({ result }) {
  byId("spoken").textContent = `${byId("verdict").textContent} The loss is ${number(result.loss)}.`;
}

/** Replace every number of the old reply except the picture, which the page dims. */
export function summarizeRefusal(hasPicture) {
  byId("verdict").classList.remove("right");
  byId("verdict").textContent =
    `There is no result for these numbers.${hasPicture ? " The picture shows the last result." : ""}`;
  byId("loss").textContent = "–";
  delete byId("loss").dataset.output;
  byId("explanation").replaceChildren(html("p", { class: "quiet" }, "Formulas appear with the next result."));
  byId("numbers").replaceChildren();
}
