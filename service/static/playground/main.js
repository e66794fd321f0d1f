// Entry point: starts both views and shows the one that the address names.

import { onAddressChange, readAddress, writeAddress } from "./address.js";
import { byId } from "./dom.js";
import { startData } from "./data/view.js";
import { startNetwork } from "./network/view.js";

const VIEWS = ["network", "data"];

/** Show the view that the address names. An address without a view means the network. */
function showView() {
  const { view } = readAddress();
  for (const name of VIEWS) {
    const isOpen = name === (VIEWS.includes(view) ? view : "network");
    byId(`${name}-view`).hidden = !isOpen;
    byId(`${name}-link`).setAttribute("aria-current", isOpen ? "page" : "false");
  }
}

// The skip link must not replace the view in the address.
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});

showView();
const network = startNetwork(readAddress().query, (query) => {
  byId("network-link").hash = query ? `network?${query}` : "network";
  if (!byId("network-view").hidden) writeAddress("network", query);
});
startData();
onAddressChange(() => {
  showView();
  const { view, query } = readAddress();
  if (view === "network" && query) network.load(query);
});
