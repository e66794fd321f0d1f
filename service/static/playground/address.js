// The fragment of the address: a view, and after a question mark the numbers of that view.

/** Return { view, query } of the current address; both are "" where the address has none. */
export function readAddress() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view, query };
}

/** Replace the fragment without a new entry in the browser's history. */
export function writeAddress(view, query) {
  const current = readAddress();
  if (query === current.query) return;
  history.replaceState(null, "", `${location.pathname}${location.search}#${view}${query && `?${query}`}`);
}

/** Call back when the address changes: a link, Back, Forward, or an address typed by hand. */
export const onAddressChange = (callback) => addEventListener("hashchange", callback);
