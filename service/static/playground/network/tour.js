// The guided tour: one card with the current step, moved by buttons or arrow keys, left at any time.

import { byId, html } from "../dom.js";
import { STEPS } from "./tour-steps.js";

/** Wire the tour up. `open(view)` shows the view of a step; `descend(steps)` runs gradient descent. */
export function startTour({ open, descend }) {
  const card = byId("tour");
  const begin = byId("tour-start");
  let current = 0;

  function go(to) {
    current = to;
    const step = STEPS[to];
    open(step.view);
    const heading = html("h3", { id: "tour-title", tabindex: -1 }, `${to + 1}. ${step.title}`);
    const [back, next] = [button("Back", () => go(to - 1)), nextButton(to)];
    back.disabled = to === 0;
    card.replaceChildren(
      html("div", { class: "bar" }, heading, html("span", { class: "quiet" }, `Step ${to + 1} of ${STEPS.length}`)),
      html(
        "div",
        { class: "tour-text" },
        html("div", {}, ...step.text.map((text) => html("p", {}, text))),
        experimentBox(step.experiment),
      ),
      html("div", { class: "bar buttons" }, back, next, button("Leave the tour", leave)),
    );
    card.hidden = false;
    begin.hidden = true;
    heading.focus({ preventScroll: true });
  }
  const nextButton = (to) => {
    const isLast = to === STEPS.length - 1;
    return button(isLast ? "Finish" : "Next", () => (isLast ? leave() : go(to + 1)), "primary");
  };
  const experimentBox = (experiment) => {
    const run = () => (experiment.steps ? descend(experiment.steps) : open(experiment.view));
    return html(
      "div",
      { class: "experiment" },
      html("p", {}, html("strong", {}, "Try it. "), experiment.text),
      button("Do it for me", run, "small"),
    );
  };

  function leave() {
    card.hidden = true;
    begin.hidden = false;
    begin.focus();
  }

  begin.addEventListener("click", () => go(0));
  card.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    else if (event.key === "ArrowRight" && current < STEPS.length - 1) go(current + 1);
    else if (event.key === "ArrowLeft" && current > 0) go(current - 1);
  });
}

const button = (text, click, kind = "") => html("button", { type: "button", class: kind, click }, text);
