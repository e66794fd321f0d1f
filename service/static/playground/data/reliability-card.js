// The reliability diagram, and the button that fits the temperature.

import { html, scroller, svg, table } from "../dom.js";
import { number, percent } from "../format.js";
import { bins, calibrationError, drawReliability } from "./reliability.js";

/** The card of some results; `fit` is a promise of the results at the best temperature, undefined if that fails. */
export function reliabilityCard(results, fit) {
  const picture = svg("svg", { class: "reliability", role: "img" });
  const said = html("div", { role: "status" });
  const before = {
    kind: "before",
    name: "T = 1",
    results,
    found: bins(results),
  };
  const button = html("button", { type: "button", class: "primary", click: run }, "Fit the temperature");

  async function run() {
    button.disabled = true;
    const fitted = await fit();
    button.disabled = false;
    if (!fitted) return;
    const after = {
      kind: "after",
      name: `T = ${number(fitted.temperature)}`,
      results: fitted,
      found: bins(fitted),
    };
    drawReliability(picture, [before, after]);
    said.replaceChildren(comparison([before, after]));
  }

  drawReliability(picture, [before]);
  said.append(comparison([before]));
  return html(
    "section",
    { class: "card whole" },
    picture,
    html(
      "div",
      {},
      html("h3", {}, "Reliability"),
      html(
        "p",
        { class: "quiet" },
        "On the line it is right as often as it is sure; below, it is too sure. The larger a dot, the more rows.",
      ),
      said,
      html(
        "p",
        { class: "quiet" },
        "One temperature for all rows changes how sure it is, but no prediction. The best one is where the derivative of ",
        "the loss by the temperature, an output of the service, is 0.",
      ),
      html("div", { class: "bar buttons" }, button),
    ),
  );
}

const comparison = (series) =>
  scroller(
    "Before and after",
    table(
      "",
      ["temperature", "loss", "accuracy", "calibration error"],
      series.map(({ kind, name, results, found }) => [
        html("span", { class: `key ${kind}` }, name),
        number(results.loss),
        percent(results.accuracy),
        percent(calibrationError(found)),
      ]),
    ),
  );
