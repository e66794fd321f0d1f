// Elements built from their parts. Text stays text: the page never parses HTML from a string.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Create an HTML element. An attribute that is a function listens to the event of its name. */
export const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** Create an SVG element. */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Return the element of the page with an id. */
export const byId = (id) => document.getElementById(id);

/** Create a table from a caption ("" for none), column heads and rows of cells. The first cell of a row is its head. */
export function table(caption, heads, rows) {
  return html(
    "table",
    {},
    ...(caption ? [html("caption", {}, caption)] : []),
    html("thead", {}, html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)))),
    html(
      "tbody",
      {},
      ...rows.map(([head, ...cells]) =>
        html("tr", {}, html("th", { scope: "row" }, head), ...cells.map((cell) => html("td", {}, cell))),
      ),
    ),
  );
}

/** Create a box that scrolls sideways, by keyboard too. */
export const scroller = (name, child) =>
  html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": name }, child);

/** Save a blob as a file of the person who uses the page. */
export function download(name, blob) {
  const link = html("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
