// The panel that shows a request as code, and its reply.

import { html } from "./dom.js";

const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };

/** Fills a panel; returns { request, reply } which show the samples of a request and the text of a reply. */
export function exchangePanel(root) {
  let samples = {};
  let language = "curl";
  const code = block(`${root.id}-request`);
  const answer = block(`${root.id}-reply`);
  const said = html("span", { role: "status", class: "quiet" });
  const note = html("span", { class: "quiet" });

  const choices = Object.entries(LANGUAGES).map(([name, label]) =>
    html(
      "label",
      {},
      html("input", {
        type: "radio",
        name: `${root.id}-language`,
        value: name,
        checked: name === language,
        change: () => {
          language = name;
          showSample();
        },
      }),
      html("span", {}, label),
    ),
  );
  const showSample = () => {
    code.textContent = samples[language] ?? "";
  };

  root.append(
    html(
      "div",
      { class: "bar" },
      html("h3", {}, "Request"),
      html(
        "div",
        {
          class: "segments",
          role: "radiogroup",
          "aria-label": "Language of the request",
        },
        ...choices,
      ),
      html("button", { type: "button", class: "small", click: () => copy(code, said) }, "Copy request"),
      said,
    ),
    html("pre", { tabindex: 0, role: "region", "aria-label": "Request as code" }, code),
    html(
      "div",
      { class: "bar" },
      html("h3", {}, "Reply"),
      html("button", { type: "button", class: "small", click: () => copy(answer, said) }, "Copy reply"),
      note,
    ),
    html("pre", { tabindex: 0, role: "region", "aria-label": "Reply" }, answer),
  );
  return {
    request(next) {
      samples = next;
      showSample();
    },
    reply(text, timing) {
      answer.textContent = text;
      note.textContent = spent(timing);
    },
  };
}

const block = (id) => html("code", { id });

/** "decode;dur=0.1, compute;dur=0.2" as words. */
function spent(timing) {
  const stages = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, stage, duration]) => `${stage} ${duration} ms`);
  return stages.length ? `Server: ${stages.join(", ")}` : "";
}

async function copy(code, said) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    said.textContent = "Copied.";
  } catch {
    // without TLS a browser lends the clipboard to this machine only
    getSelection().selectAllChildren(code);
    said.textContent = "Selected; copy with the keyboard.";
  }
  setTimeout(() => (said.textContent = ""), 2000);
}
