// A field for one number, with a slider below it.

import { html } from "../dom.js";

const DIGITS = 4;

/** Return a number with the digits that fit into a field. The page sends all its digits. */
const rounded = (value) => String(Number(value.toPrecision(DIGITS)));

/** A browser of this language drops a comma that is typed into a number, and would read "0,5" as 5. */
const dropsComma = (0.5).toLocaleString().includes(".");

/**
 * Create a number field. Return { root, set }. `changed(value)` is called for every whole number. A pasted list of
 * numbers becomes its arguments: they are for this field and those behind it.
 *
 * While a person types, a field often holds half a number ("-", "1e" or nothing). Such text is never reported and never
 * overwritten. Leaving the field brings the last whole number back.
 */
export function numberField({ name, label, range, changed }) {
  let current;
  const typed = html("input", { type: "number", step: range.step, id: `field-${name}`, "aria-label": label });
  const slider = html("input", { type: "range", ...range, "aria-label": `${label}, slider` });
  const hasHalfANumber = () => Number.isNaN(typed.valueAsNumber);

  function write() {
    typed.value = rounded(current);
    typed.removeAttribute("aria-invalid");
  }
  typed.addEventListener("input", () => {
    if (hasHalfANumber()) {
      typed.setAttribute("aria-invalid", "true");
      return;
    }
    typed.removeAttribute("aria-invalid");
    slider.value = typed.value;
    changed(typed.valueAsNumber);
  });
  typed.addEventListener("beforeinput", (event) => {
    if (event.data !== "," || !dropsComma) return;
    event.preventDefault();
    document.execCommand("insertText", false, ".");
  });
  typed.addEventListener("paste", (event) => {
    const words = event.clipboardData.getData("text").match(/[^\s,;[\]]+/g) ?? [];
    if (words.length < 2) return;
    // the browser would join the digits of all numbers
    event.preventDefault();
    const values = words.map(Number);
    if (!values.every(Number.isFinite)) return;
    changed(...values);
    write();
  });
  typed.addEventListener("blur", () => hasHalfANumber() && write());
  slider.addEventListener("input", () => changed(slider.valueAsNumber));

  return {
    root: html("div", { class: "number" }, typed, slider),
    set(value) {
      current = value;
      const hasFocus = document.activeElement === typed;
      const isKept = hasFocus && (hasHalfANumber() || typed.valueAsNumber === value);
      if (!isKept) write();
      slider.value = value;
    },
  };
}
