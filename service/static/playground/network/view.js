// The network view: a change goes to the service, and its reply goes to the picture.

import { ask, latest } from "../api.js";
import { copyText } from "../clipboard.js";
import { jsonSamples } from "../code.js";
import { byId, html } from "../dom.js";
import { exchangePanel } from "../exchange.js";
import { onKey } from "../key-field.js";
import { message } from "../format.js";
import { networkControls } from "./controls.js";
import { drawCurve } from "./curve.js";
import { explain } from "./explain.js";
import { readLink, START, writeLink } from "./link.js";
import { request, stepped } from "./model.js";
import { drawNumbers } from "./numbers.js";
import { networkPicture } from "./picture.js";
import { preset, PRESETS, presetOf } from "./presets.js";
import { showProblem } from "./problems.js";
import { speak, summarize, summarizeRefusal } from "./summary.js";
import { startTour } from "./tour.js";

const STEPS = 50;
const REST_MS = 500;
const GRADIENT_URL = new URL("gradient", document.baseURI).href;

/**
 * Wire the view up and send its first request. `query` is the state in the address. `onRest(query)` is called with the
 * state of the page when its numbers have not changed for half a second. Return { load }, which shows the state of a
 * query.
 */
export function startNetwork(query, onRest) {
  let { flow, selected, ...state } = structuredClone(START);
  let startedFrom = "article";
  let result;
  let losses = [];
  let running;
  let resting;

  const panel = exchangePanel(byId("network-exchange"));
  const picture = networkPicture(byId("picture"), (name) => {
    selected = name;
    render();
  });

  /** Send a state to the service and show the reply. Return false if the service refused it. */
  async function update(asked, descent) {
    const sent = request(asked);
    panel.request(jsonSamples(GRADIENT_URL, sent));
    try {
      const { reply, timing } = await ask(GRADIENT_URL, sent, descent?.controller.signal);
      result = { state: asked, ...reply };
      losses = descent ? [...losses, Number(reply.loss)] : [Number(reply.loss)];
      panel.reply(message(reply), timing);
      showProblem();
      byId("stage").classList.remove("stale");
      render();
      return true;
    } catch (error) {
      if (descent?.controller.signal.aborted) return false;
      panel.reply(error.problem ? message(error.problem) : "", "");
      showProblem(error);
      byId("stage").classList.add("stale");
      summarizeRefusal(result !== undefined);
      return false;
    }
  }
  const refresh = latest((asked) => update(asked));

  function change(next) {
    halt();
    byId("problem-link").textContent = "";
    state = next;
    setControls();
    refresh(state);
  }

  /** Show a view; what it leaves out stays as it is. */
  function open(view) {
    if (view.flow) flow = view.flow;
    if (view.selected) selected = view.selected;
    for (const radio of document.getElementsByName("flow")) radio.checked = radio.value === flow;
    change(structuredClone(view.state));
    picture.pulse();
  }

  function load(text) {
    try {
      const { flow: direction, selected: name, ...numbers } = readLink(text);
      open({ state: numbers, flow: direction, selected: name });
    } catch (error) {
      open({ state: preset("article") });
      byId("problem-link").textContent = error.message;
    }
  }

  function render() {
    if (!result) return;
    const view = { state: result.state, result, selected, flow };
    picture.draw(view);
    byId("network-view").dataset.flow = flow;
    byId("explanation").replaceChildren(...explain(view));
    drawNumbers(byId("numbers"), view);
    drawCurve(byId("curve"), losses);
    summarize(view);
    clearTimeout(resting);
    resting = setTimeout(() => {
      speak(view);
      onRest(writeLink({ ...state, flow, selected }));
    }, REST_MS);
  }

  async function descend(steps) {
    halt();
    if (!result) return;
    const descent = { controller: new AbortController(), isStopping: false };
    running = descent;
    byId("stop").disabled = false;
    for (let step = 0; step < steps && running === descent && !descent.isStopping; step++) {
      state = stepped(result.state, result);
      setControls();
      if (!(await update(state, descent))) break;
      await new Promise(requestAnimationFrame);
    }
    if (running === descent) halt();
    picture.pulse();
  }

  /** Cancel a descent at once, because other numbers follow. */
  function halt() {
    running?.controller.abort();
    running = undefined;
    byId("stop").disabled = true;
  }

  /** End a descent after the step that is under way, so that the picture and the numbers stay together. */
  function stop() {
    if (running) running.isStopping = true;
    byId("stop").disabled = true;
  }

  const setFields = networkControls(controlRoots(), () => state, change);
  function setControls() {
    setFields(state);
    const isByHand = state.source === "logits";
    byId("no-layer").hidden = !isByHand;
    byId("preset").value = presetOf(state) ?? "own";
    for (const id of ["step", "run"]) byId(id).disabled = isByHand;
  }

  wire({
    preset(name) {
      startedFrom = name;
      change(preset(name));
    },
    source: (source) => change({ ...state, source }),
    flow(direction) {
      flow = direction;
      render();
      picture.pulse();
    },
    step: () => descend(1),
    run: () => descend(STEPS),
    stop,
    reset: () => change(preset(startedFrom)),
    "copy-link": () => copyLink(writeLink({ ...state, flow, selected }), onRest),
  });
  startTour({ open, descend });
  onKey(() => refresh(state));
  load(query);
  return { load };
}

function copyLink(query, onRest) {
  onRest(query);
  const field = byId("link");
  field.value = location.href;
  copyText(location.href, byId("link-report"), () => {
    field.hidden = false;
    field.select();
  });
}

function controlRoots() {
  const ids = ["layer", "logits", "temperature", "smoothing", "rate", "targets", "masks"];
  const roots = Object.fromEntries(ids.map((id) => [id, byId(id)]));
  return { ...roots, sources: [...document.getElementsByName("source")] };
}

function wire(actions) {
  const presets = byId("preset");
  presets.append(
    ...Object.entries(PRESETS).map(([name, { title }]) => html("option", { value: name }, title)),
    html("option", { value: "own", hidden: true }, "Your own numbers"),
  );
  presets.addEventListener("change", () => actions.preset(presets.value));
  for (const name of ["source", "flow"]) {
    for (const radio of document.getElementsByName(name)) {
      radio.addEventListener("change", () => actions[name](radio.value));
    }
  }
  for (const id of ["step", "run", "stop", "reset", "copy-link"]) byId(id).addEventListener("click", actions[id]);
}
