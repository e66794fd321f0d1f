// Two views of one service; the address says which is open.

import { byId } from "./dom.js";
import { startData } from "./data/view.js";
import { startNetwork } from "./network/view.js";

const VIEWS = ["network", "data"];

let chosen = VIEWS[0];

function open() {
  const wanted = location.hash.slice(1);
  if (VIEWS.includes(wanted)) chosen = wanted;
  for (const name of VIEWS) {
    byId(`${name}-view`).hidden = name !== chosen;
    byId(`${name}-link`).setAttribute("aria-current", name === chosen ? "page" : "false");
  }
}

addEventListener("hashchange", open);
open();
startNetwork();
startData();
