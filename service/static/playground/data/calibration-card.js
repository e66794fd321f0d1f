// Calibration: the measures before and after the temperature is fitted, side by side.

import { html, scroller, table } from "../dom.js";
import { number, percent } from "../format.js";
import { reliabilityDiagram } from "./reliability.js";

const NO_MINIMUM =
  "The loss has no minimum: it still falls at this temperature, the end of the range. More rows usually mend that.";

const measuresFor = (k) => [
  ["loss", "loss", number],
  ["perplexity", "perplexity", number],
  ["accuracy", "accuracy", percent],
  ["top_k_accuracy", `accuracy of the top ${k}`, percent],
  ["brier_score", "Brier score", number],
  ["expected_calibration_error", "expected calibration error", percent],
];

/** Create the card of some figures. `fit` promises the figures at the best temperature, undefined if it failed. */
export function calibrationCard(before, fit) {
  const diagrams = html("div", { class: "diagrams" });
  const measures = html("div", { role: "status" });
  const button = html("button", { type: "button", class: "primary", click: run }, "Fit the temperature");

  function show(...all) {
    const titles = all.map(({ temperature }) => `T = ${temperature === 1 ? 1 : number(temperature)}`);
    const kinds = ["before", "after"];
    diagrams.replaceChildren(
      ...all.map(({ bins }, at) =>
        html(
          "figure",
          {},
          html("figcaption", { class: `key ${kinds[at]}` }, titles[at]),
          reliabilityDiagram(kinds[at], titles[at], bins),
        ),
      ),
    );
    const rows = measuresFor(before.topK).map(([name, title, form]) => [
      title,
      ...all.map((figures) => form(figures[name])),
    ]);
    measures.replaceChildren(scroller("Measures", table("", ["measure", ...titles], rows)));
  }
  async function run() {
    button.disabled = true;
    const after = await fit();
    button.disabled = false;
    if (!after) return;
    show(before, after);
    if (after.isAtBound) measures.append(html("p", {}, NO_MINIMUM));
  }

  show(before);
  return html(
    "section",
    { class: "card whole", "aria-label": "Calibration" },
    html(
      "div",
      {},
      html("h3", {}, "Calibration"),
      html(
        "p",
        { class: "quiet" },
        "A dot on the dashed line is right as often as it is certain. A dot below it is too certain. Larger dots stand for more rows.",
      ),
      html(
        "p",
        { class: "quiet" },
        "One temperature for all rows changes how certain the predictions are, and never which class they name.",
      ),
      measures,
      html("div", { class: "bar buttons" }, button),
    ),
    diagrams,
  );
}
