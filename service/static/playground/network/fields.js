// A field for one number, with a slider below it.

import { html } from "../dom.js";

const DIGITS = 4;

/** Return a number with the digits that fit into a field. The page sends all its digits. */
const rounded = (value) => String(Number(value.toPrecision(DIGITS)));

/**
 * Create a number field. Return { root, set }. `changed(value)` is called for every whole number.
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
