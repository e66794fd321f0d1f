// The data view: rows of one's own go to the service in one request, and its reply is shown as tables and pictures.

import { fileSamples } from "../code.js";
import { byId, download, html } from "../dom.js";
import { exchangePanel } from "../exchange.js";
import { bytes, count, message, number, percent, show as showNumber } from "../format.js";
import { askForKey } from "../key-field.js";
import { calibrationCard } from "./calibration-card.js";
import { startWorker } from "./client.js";
import { heatMapCard } from "./heatmap-card.js";
import { dataSources } from "./sources.js";
import { confusionCard, perClassCard, worstCard } from "./tables.js";

const BASE = document.baseURI;
const PLACES = { logits: "problem-data-logits", targets: "problem-data-labels", labels: "problem-data-labels" };

/** Wire the view up. */
export function startData() {
  const ask = startWorker();
  const panel = exchangePanel(byId("data-exchange"));
  const sources = dataSources();
  let heatMap;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => heatMap?.draw());

  async function load(argument) {
    showProblem();
    byId("results").hidden = true;
    byId("data-exchange").hidden = true;
    const summary = await work("load", { ...argument, base: BASE });
    if (summary) display(summary);
  }

  /** Run a task and show its progress. Return undefined if it failed; the page then says why. */
  async function work(name, argument) {
    try {
      return await ask(name, argument, showProgress);
    } catch (error) {
      showProblem(error);
      return undefined;
    } finally {
      showProgress();
    }
  }

  function display(summary) {
    const { url, contentType, file } = summary.request;
    panel.request(fileSamples(url, file, contentType));
    panel.reply(message(summary.reply), summary.timing);
    heatMap = heatMapCard(summary, ask);
    const { hasLabels, loss } = summary;
    const hasTargets = loss !== undefined;
    const column = (...cards) => html("div", {}, ...cards);
    byId("results").replaceChildren(
      figures(summary, saveButtons(file)),
      html(
        "div",
        { class: "results" },
        column(heatMap.root, ...(hasLabels ? [perClassCard(summary)] : [])),
        column(worstCard(summary, heatMap.look), ...(hasLabels ? [confusionCard(summary)] : [])),
        ...(hasTargets ? [calibrationCard(summary, () => work("calibrate"))] : []),
      ),
    );
    byId("results").hidden = false;
    byId("data-exchange").hidden = false;
    heatMap.draw();
    heatMap.look({ row: 0 });
    byId("data-spoken").textContent = summary.rows === 1 ? "1 row is shown." : `${count(summary.rows)} rows are shown.`;
  }

  function saveButtons(file) {
    const button = (label, name, argument, fileName) => {
      const click = async () => {
        const blob = await work(name, argument);
        if (blob) download(fileName, blob);
      };
      return html("button", { type: "button", click }, label);
    };
    return html(
      "div",
      { class: "bar save", role: "group", "aria-label": "Download" },
      html("span", { class: "quiet" }, "Download"),
      button("CSV", "save", "csv", "results.csv"),
      button(".npz", "save", "npz", "results.npz"),
      button("Request body", "body", undefined, file),
    );
  }

  byId("show").addEventListener("click", () => load(sources.get()));
  byId("sample").addEventListener("click", () => load({}));
  byId("cancel").addEventListener("click", () => ask("cancel"));
}

function figures({ rows, classes, loss, accuracy, size, timing }, buttons) {
  const figure = (name, value) => html("p", { class: "figure" }, html("span", {}, name), " ", value);
  const output = (name, value, form) => showNumber(html("output"), name, value, form);
  const compute = timing.match(/compute;dur=([\d.]+)/)?.[1];
  return html(
    "div",
    { class: "card figures" },
    figure("Rows", html("output", {}, `${count(rows)} × ${count(classes)}`)),
    ...(loss === undefined ? [] : [figure("Loss", output("loss", loss, number))]),
    ...(accuracy === undefined ? [] : [figure("Accuracy", output("accuracy", accuracy, percent))]),
    figure("Reply", html("output", {}, bytes(size))),
    ...(compute ? [figure("Computed in", html("output", {}, `${Number(compute).toFixed(1)} ms`))] : []),
    buttons,
  );
}

/** Show how far a task is. Without an argument, hide the progress. */
function showProgress(state) {
  byId("progress-label").hidden = !state;
  byId("cancel").hidden = !state;
  if (!state) return;
  byId("progress-text").textContent = state.text;
  if (state.total) Object.assign(byId("progress"), { max: state.total, value: Math.min(state.done, state.total) });
  else byId("progress").removeAttribute("value");
}

/** Show an error beside the input that it names. Without an error, remove all messages. */
function showProblem(error) {
  for (const place of document.querySelectorAll("#data-view .problem")) place.textContent = "";
  if (!error?.message) return;
  askForKey(error);
  const field = error.field ?? error.message.split(" ")[0];
  byId(PLACES[field] ?? "problem-data").textContent = error.message;
}
