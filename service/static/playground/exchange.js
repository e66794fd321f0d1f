// The panel that shows a request as code, and the reply to it.

import { copyText } from "./clipboard.js";
import { html } from "./dom.js";

const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };

/** Fill a panel. Return { request, reply }, which show the code of a request and the text of a reply. */
export function exchangePanel(root) {
  let samples = {};
  let language = "curl";
  const code = html("code", { id: `${root.id}-request` });
  const answer = html("code", { id: `${root.id}-reply` });
  const report = html("span", { role: "status", class: "quiet" });
  const note = html("span", { class: "quiet" });

  const showSample = () => {
    code.textContent = samples[language] ?? "";
  };
  const choices = Object.entries(LANGUAGES).map(([value, label]) => {
    const change = () => {
      language = value;
      showSample();
    };
    const attributes = { type: "radio", name: `${root.id}-language`, value, checked: value === language, change };
    return html("label", {}, html("input", attributes), html("span", {}, label));
  });
  const copyButton = (label, block) => {
    const click = () => copyText(block.textContent, report, () => getSelection().selectAllChildren(block));
    return html("button", { type: "button", class: "small", click }, label);
  };

  root.append(
    html(
      "div",
      { class: "bar" },
      html("h3", {}, "Request"),
      html("div", { class: "segments", role: "radiogroup", "aria-label": "Language of the request" }, ...choices),
      copyButton("Copy request", code),
      report,
    ),
    html("pre", { tabindex: 0, role: "region", "aria-label": "Request as code" }, code),
    html("div", { class: "bar" }, html("h3", {}, "Reply"), copyButton("Copy reply", answer), note),
    html("pre", { tabindex: 0, role: "region", "aria-label": "Reply" }, answer),
  );
  return {
    request(next) {
      samples = next;
      showSample();
    },
    reply(text, timing) {
      answer.textContent = text;
      note.textContent = describe(timing);
    },
  };
}

/** Return the Server-Timing header "decode;dur=0.1, compute;dur=0.2" as words. */
function describe(timing) {
  const stages = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, stage, duration]) => `${stage} ${duration} ms`);
  return stages.length ? `Server: ${stages.join(", ")}` : "";
}
