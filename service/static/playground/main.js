// Two views of one service; the address says which is open.

import { byId } from "./dom.js";
import { startData } from "./data/view.js";
import { startNetwork } from "./network/view.js";

const VIEWS = ["network", "data"];

function open() {
  const wanted = location.hash.slice(1);
  const chosen = VIEWS.includes(wanted) ? wanted : VIEWS[0];
  for (const name of VIEWS) {
    byId(`${name}-view`).hidden = name !== chosen;
    byId(`${name}-link`).setAttribute("aria-current", name === chosen ? "page" : "false");
  }
}

addEventListener("hashchange", open);
open();
startNetwork();
startData();
