// The inputs of the data view: text that is pasted, and files that are chosen or dropped.

import { byId } from "../dom.js";
import { bytes } from "../format.js";

const LABELS_FILE = /label|target|truth|class|(^|[^a-z])y([^a-z]|$)/i;

/** Wire both inputs up. Return get(), with the source of the logits and of the labels. */
export function dataSources() {
  const fields = { logits: sourceField("logits", true), labels: sourceField("labels", false) };
  dropArea(byId("logits-drop"), ([file]) => fields.logits.choose(file), fields);
  dropArea(byId("labels-drop"), ([file]) => fields.labels.choose(file), fields);
  dropArea(byId("data-view"), ([file]) => fields.logits.choose(file), fields);
  return { get: () => ({ logits: fields.logits.get(), labels: fields.labels.get() }) };
}

/** Let files be dropped on an area. Two files at once are sorted into logits and labels by their names and sizes. */
function dropArea(area, chooseOne, fields) {
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    area.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length > 1) {
      const { logits, labels } = sortFiles(files);
      fields.logits.choose(logits);
      fields.labels.choose(labels);
    } else if (files.length) chooseOne(files);
  });
}

/** Return which of two files has the logits: the one without a name for labels, else the larger one. */
function sortFiles([first, second]) {
  const [isFirst, isSecond] = [first, second].map((file) => LABELS_FILE.test(file.name));
  const areSwapped = isFirst === isSecond ? first.size < second.size : isFirst;
  return areSwapped ? { logits: second, labels: first } : { logits: first, labels: second };
}

function sourceField(name, isRequired) {
  const text = byId(`${name}-text`);
  const file = byId(`${name}-file`);
  let chosen;

  function choose(next) {
    chosen = next;
    byId(`${name}-name`).textContent = next ? `${next.name}, ${bytes(next.size)}` : "";
    if (next) text.value = "";
  }
  file.addEventListener("change", () => choose(file.files[0]));
  text.addEventListener("input", () => {
    file.value = "";
    choose(undefined);
  });
  const typed = () => (text.value.trim() || isRequired ? new Blob([text.value]) : undefined);
  return { choose, get: () => chosen ?? typed() };
}
