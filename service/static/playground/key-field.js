// Where the key is typed; the field is there once the service has asked for it.

import { byId } from "./dom.js";
import { setKey } from "./key.js";

const UNAUTHENTICATED = 401;

/** Opens the field if a refusal asks for a key. */
export function askForKey(error) {
  if (error.problem?.status === UNAUTHENTICATED) byId("key").hidden = false;
}

/** Calls back when a key has been typed. */
export function onKey(callback) {
  byId("key-field").addEventListener("change", (event) => {
    setKey(event.target.value.trim());
    callback();
  });
}
