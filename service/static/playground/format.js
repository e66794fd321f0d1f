// Numbers and names as people read them.

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** w41 as w₄₁. */
export const pretty = (name) => name.replace(/\d/g, (digit) => SUBSCRIPTS[digit]);

const minus = (text) => text.replaceAll("-", "−");

/** Four decimals; powers of ten where those would hide the number; what JSON spells as a string as a sign. */
export function number(value) {
  if (value === null) return "–";
  const size = Math.abs(Number(value));
  if (Number.isNaN(size)) return "not a number";
  if (size === Infinity) return Number(value) > 0 ? "∞" : "−∞";
  if (size !== 0 && (size < 1e-4 || size >= 1e5)) return minus(Number(value).toExponential(2));
  return minus(Number(value).toFixed(4));
}

/** The same without zeros at the end. */
export const short = (value) =>
  number(value)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");

/** A share as a percentage. */
export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** A number of bytes. */
export function bytes(size) {
  if (size < 1000) return `${size} bytes`;
  return size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** A count with its thousands apart. */
export const count = (value) => value.toLocaleString("en");

/** Writes a number of a reply into an element, with all its digits and where they come from beside it. */
export function show(element, output, value, form = number) {
  element.dataset.output = output;
  element.dataset.value = value ?? "";
  element.textContent = form(value);
  return element;
}

const isFlat = (value) => !Array.isArray(value) || value.every((item) => !Array.isArray(item));

/** JSON of a message of tensors: a line for each field, and one for each row of a matrix. */
export function message(value, indent = "") {
  if (Array.isArray(value) && !isFlat(value)) {
    const rows = value.map((row) => `${indent}  ${message(row, `${indent}  `)}`);
    return `[\n${rows.join(",\n")}\n${indent}]`;
  }
  if (Array.isArray(value)) return `[${value.map((item) => JSON.stringify(item)).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, field]) => `${indent}  "${name}": ${message(field, `${indent}  `)}`);
  return `{\n${fields.join(",\n")}\n${indent}}`;
}
