// Numbers and names as people read them.

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** Return a name with its digits as subscripts: w41 becomes w₄₁. */
export const pretty = (name) => name.replace(/\d/g, (digit) => SUBSCRIPTS[digit]);

const withMinusSign = (text) => text.replaceAll("-", "−");

/**
 * Return a number with four decimals. Numbers from 100 on get six digits in all; numbers that these digits would hide
 * become powers of ten. The strings "Infinity", "-Infinity" and "NaN" of the service are numbers too.
 */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(Number(value));
  if (Number.isNaN(size)) return "not a number";
  if (size === Infinity) return Number(value) > 0 ? "∞" : "−∞";
  if (size !== 0 && (size < 1e-4 || size >= 1e5)) return withMinusSign(Number(value).toExponential(2));
  return withMinusSign(size < 100 ? Number(value).toFixed(4) : Number(value).toPrecision(6));
}

/** Return a number as `number` does, without zeros at the end of its decimals. */
export const short = (value) =>
  number(value)
    .replace(/(\.\d*?)0+(?=e|$)/, "$1")
    .replace(/\.(?=e|$)/, "");

/** Return a share of 1 in percent. */
export const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : "–");

/** Return a number of bytes with its unit. */
export function bytes(size) {
  if (size < 1000) return `${size} bytes`;
  return size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** Return a count with a comma between its thousands. */
export const count = (value) => value.toLocaleString("en");

/** Write a number of a reply into an element, and keep its field name and all its digits in the element's data. */
export function show(element, output, value, form = number) {
  element.dataset.output = output;
  element.dataset.value = value ?? "";
  element.textContent = form(value);
  return element;
}

const isFlat = (value) => !Array.isArray(value) || value.every((item) => !Array.isArray(item));

/** Return the JSON of a request or reply with one line for each field and for each row of a matrix. */
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
