// Where data comes in: pasted, dropped, or chosen as a file.

import { byId } from "../dom.js";
import { bytes } from "../format.js";

/** The field of that name; get() is the File or the text in it, undefined if it is empty. */
export function sourceField(name) {
  const text = byId(`${name}-text`);
  const file = byId(`${name}-file`);
  const area = byId(`${name}-drop`);
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
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
  return {
    get: () => chosen ?? (text.value.trim() || name === "logits" ? new Blob([text.value]) : undefined),
  };
}
