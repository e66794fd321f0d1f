// The second view: one's own rows go to the service in one request, its reply is drawn in four ways.

import { fileSamples } from "../code.js";
import { byId, download, html, scroller, table } from "../dom.js";
import { exchangePanel } from "../exchange.js";
import { askForKey } from "../key-field.js";
import { bytes, count, message, number, percent, show } from "../format.js";
import { startWorker } from "./client.js";
import { confusionTable } from "./confusion.js";
import { heatMapCard } from "./heatmap-card.js";
import { reliabilityCard } from "./reliability-card.js";
import { sourceField } from "./source.js";

const WORST = 10;
const BASE = document.baseURI;
const FIELDS = {
  logits: "problem-data-logits",
  targets: "problem-data-labels",
  labels: "problem-data-labels",
};

/** Wires the view up. */
export function startData() {
  const run = startWorker();
  const panel = exchangePanel(byId("data-exchange"));
  const sources = {
    logits: sourceField("logits"),
    labels: sourceField("labels"),
  };

  let heatMap;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => heatMap?.draw());

  async function load(argument) {
    complain();
    byId("results").hidden = true;
    const results = await work("load", argument);
    if (results) display(results);
  }

  /** Runs a task with its progress on the page; undefined if it failed, which is said where it belongs. */
  async function work(task, argument) {
    try {
      return await run(task, argument, progress);
    } catch (error) {
      complain(error);
      if (error.problem) panel.reply(message(error.problem), "");
      return undefined;
    } finally {
      progress();
    }
  }

  function display(results) {
    const { url, contentType, file } = results.request;
    panel.request(fileSamples(url, file, contentType));
    panel.reply(message(results.names), results.timing);
    heatMap = heatMapCard(results);
    byId("results").replaceChildren(
      figures(results, saveButtons(file)),
      html("div", { class: "results" }, heatMap.root, worstCard(results, heatMap.look), ...labelled(results)),
    );
    heatMap.draw();
    byId("results").hidden = false;
    byId("data-exchange").hidden = false;
    byId("data-spoken").textContent = `${count(results.rows)} rows are shown.`;
  }

  function labelled(results) {
    if (!results.labels) return [];
    const fit = () => work("fit");
    return [
      card("Confusion", "Labels down, predictions across.", scroller("Confusion matrix", confusionTable(results))),
      reliabilityCard(results, fit),
    ];
  }

  function saveButtons(file) {
    const save = (name, task, format) => async () => {
      const blob = await work(task, format);
      if (blob) download(name, blob);
    };
    return html(
      "div",
      { class: "bar save", role: "group", "aria-label": "Download" },
      html("span", { class: "quiet" }, "Download"),
      html("button", { type: "button", click: save("results.csv", "write", "csv") }, "CSV"),
      html("button", { type: "button", click: save("results.json", "write", "json") }, "JSON"),
      html("button", { type: "button", click: save(file, "body") }, "Request body"),
    );
  }

  byId("show").addEventListener("click", () =>
    load({
      logits: sources.logits.get(),
      labels: sources.labels.get(),
      base: BASE,
    }),
  );
  byId("sample").addEventListener("click", () => load({ base: BASE }));
  byId("cancel").addEventListener("click", () => run("cancel"));
}

function figures({ rows, classes, loss, accuracy, size, timing }, buttons) {
  const figure = (name, value) => html("p", { class: "figure" }, html("span", {}, name), " ", value);
  const output = (name, value, form) => show(html("output"), name, value, form);
  const compute = timing.match(/compute;dur=([\d.]+)/)?.[1];
  return html(
    "div",
    { class: "card figures" },
    figure("Rows", html("output", {}, `${count(rows)} × ${count(classes)}`)),
    ...(loss === undefined
      ? []
      : [figure("Loss", output("loss", loss, number)), figure("Accuracy", output("accuracy", accuracy, percent))]),
    figure("Reply", html("output", {}, bytes(size))),
    ...(compute ? [figure("Computed in", html("output", {}, `${Number(compute).toFixed(1)} ms`))] : []),
    buttons,
  );
}

/** The rows of the largest loss, or of the largest entropy where there are no labels. */
function worstCard({ measure, measured, predictions, labels, probabilities, classes }, look) {
  const rows = Array.from(measure.keys()).sort((a, b) => measure[b] - measure[a] || a - b);
  const lines = rows.slice(0, WORST).map((row) => {
    const link = html("button", { type: "button", class: "small", click: () => look(row) }, count(row));
    const own = (i) => number(probabilities[row * classes + i]);
    const label = labels ? [String(labels[row]), own(labels[row])] : [];
    return [link, number(measure[row]), ...label, String(predictions[row]), own(predictions[row])];
  });
  const heads = ["row", measured, ...(labels ? ["label", "its p"] : []), "prediction", "its p"];
  const [title, text] = labels
    ? ["Worst rows", "Where the loss is largest."]
    : ["Least certain rows", "Where the entropy is largest."];
  return card(title, text, scroller(title, table("", heads, lines)));
}

const card = (title, text, ...children) =>
  html("section", { class: "card" }, html("h3", {}, title), html("p", { class: "quiet" }, text), ...children);

/** Shows how far the work is; without an argument, that it is over. */
function progress(state) {
  byId("progress-label").hidden = !state;
  byId("cancel").hidden = !state;
  if (!state) return;
  byId("progress-text").textContent = state.text;
  if (state.total)
    Object.assign(byId("progress"), {
      max: state.total,
      value: Math.min(state.done, state.total),
    });
  else byId("progress").removeAttribute("value");
}

/** Shows a refusal beside the input that it speaks of, by its place or by its first word; without an error, none. */
function complain(error) {
  for (const place of document.querySelectorAll("#data-view .problem")) place.textContent = "";
  if (!error?.message) return;
  askForKey(error);
  const field = error.field ?? error.message.split(" ")[0];
  byId(FIELDS[field] ?? "problem-data").textContent = error.message;
}
