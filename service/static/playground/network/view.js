// The first view: a change goes to the service, its reply goes to the picture. Nothing is computed here.

import { ask, latest } from "../api.js";
import { jsonSamples } from "../code.js";
import { byId, html } from "../dom.js";
import { exchangePanel } from "../exchange.js";
import { askForKey, onKey } from "../key-field.js";
import { message, number, pretty, show } from "../format.js";
import { networkControls } from "./controls.js";
import { drawCurve } from "./curve.js";
import { explain } from "./formulas.js";
import { byClass, preset, PRESETS, probability, request, stepped } from "./model.js";
import { drawNumbers } from "./numbers.js";
import { networkPicture } from "./picture.js";

const STEPS = 50;
const URL_OF_GRADIENT = new URL("gradient", document.baseURI).href;
const SETTLED = 700;

/** Where a field of the request is on the page. */
const PLACES = {
  label_smoothing: "smoothing",
  learning_rate: "rate",
  bias: "weights",
  logits: "weights",
  inputs: "weights",
};

/** Wires the view up and asks the service for the first time. */
export function startNetwork() {
  let state = preset("article");
  let result;
  let selected = "z5";
  let flow = "forward";
  let losses = [];
  let running;

  const panel = exchangePanel(byId("network-exchange"));
  const picture = networkPicture(byId("picture"), (name) => {
    selected = name;
    render();
  });

  /** Asks the service about a state and shows what it says; false if it refused. A signal belongs to a step of descent. */
  async function update(asked, signal) {
    const sent = request(asked);
    panel.request(jsonSamples(URL_OF_GRADIENT, sent));
    try {
      const { reply, timing } = await ask(URL_OF_GRADIENT, sent, signal);
      result = { state: asked, ...byClass(asked, reply) };
      panel.reply(message(reply), timing);
      complain();
      losses = signal ? [...losses, Number(reply.loss)] : [Number(reply.loss)];
      render();
      return true;
    } catch (error) {
      if (signal?.aborted) return false;
      panel.reply(error.problem ? message(error.problem) : "", "");
      complain(error);
      return false;
    }
  }
  const refresh = latest((asked) => update(asked));

  function change(next) {
    halt();
    state = next;
    setControls(state);
    refresh(state);
  }

  function render() {
    if (!result) return;
    const view = { state: result.state, result, selected, flow };
    picture.draw(view);
    byId("explanation").replaceChildren(...explain(view));
    drawNumbers(byId("numbers"), view);
    drawCurve(byId("curve"), losses);
    summarize(view);
  }

  async function descend(steps) {
    halt();
    if (!result) return;
    const own = new AbortController();
    running = own;
    byId("stop").disabled = false;
    for (let step = 0; step < steps && running === own; step++) {
      state = stepped(result.state, result);
      setControls(state);
      if (!(await update(state, own.signal))) break;
      await new Promise(requestAnimationFrame);
    }
    if (running === own) halt();
    picture.pulse();
  }

  function halt() {
    running?.abort();
    running = undefined;
    byId("stop").disabled = true;
  }

  const setFields = networkControls(controlRoots(), () => state, change);
  const setControls = (next) => {
    setFields(next);
    const byHand = next.source === "logits";
    byId("no-layer").hidden = !byHand;
    for (const id of ["step", "run"]) byId(id).disabled = byHand;
  };
  setControls(state);
  wire({
    preset: (name) => change(preset(name)),
    source: (source) => change({ ...state, source }),
    flow(direction) {
      flow = direction;
      render();
      picture.pulse();
    },
    step: () => descend(1),
    run: () => descend(STEPS),
    stop: halt,
  });
  onKey(() => refresh(state));
  refresh(state);
}

function controlRoots() {
  const ids = ["layer", "logits", "temperature", "smoothing", "rate", "targets", "masks"];
  const roots = Object.fromEntries(ids.map((id) => [id, byId(id)]));
  return { ...roots, sources: [...document.getElementsByName("source")] };
}

function wire(actions) {
  const presets = byId("preset");
  presets.append(...Object.entries(PRESETS).map(([name, { title }]) => html("option", { value: name }, title)));
  presets.addEventListener("change", () => actions.preset(presets.value));
  for (const name of ["source", "flow"]) {
    for (const radio of document.getElementsByName(name)) {
      radio.addEventListener("change", () => actions[name](radio.value));
    }
  }
  for (const name of ["step", "run", "stop"]) byId(name).addEventListener("click", actions[name]);
  byId("reset").addEventListener("click", () => actions.preset(presets.value));
}

let resting;

/** The large figures, and the same as one sentence that is read out once the numbers rest. */
function summarize({ state, result }) {
  const { prediction, loss, probabilities, at } = result;
  const sure = show(html("strong"), `probabilities.${at[prediction]}`, probabilities[prediction]);
  show(byId("loss"), "loss", loss);
  const right = prediction === state.target;
  byId("verdict").classList.toggle("right", right);
  byId("verdict").replaceChildren(
    "The network chooses ",
    html("strong", {}, pretty(probability(prediction))),
    " with a probability of ",
    sure,
    right ? ", and that is right." : ", but ",
    ...(right ? [] : [html("strong", {}, pretty(probability(state.target))), " is right."]),
  );
  clearTimeout(resting);
  resting = setTimeout(() => {
    byId("spoken").textContent = `${byId("verdict").textContent} The loss is ${number(loss)}.`;
  }, SETTLED);
}

/** Shows a refusal beside the field that it speaks of; without an error, none. */
function complain(error) {
  for (const place of document.querySelectorAll("#network-view .problem")) {
    place.textContent = "";
  }
  if (!error) return;
  askForKey(error);
  const field = PLACES[error.field] ?? error.field;
  const place = byId(`problem-${field}`) ?? byId("problem-network");
  place.textContent = error.message;
}
