// The field for the API key. It stays hidden until the service asks for a key.

import { byId } from "./dom.js";
import { setKey } from "./key.js";

const UNAUTHENTICATED = 401;

/** Show the field if an error says that a key is missing or wrong. */
export function askForKey(error) {
  if (error.problem?.status === UNAUTHENTICATED) byId("key").hidden = false;
}

/** Call back when a key has been typed. */
export function onKey(callback) {
  byId("key-field").addEventListener("change", (event) => {
    setKey(event.target.value.trim());
    callback();
  });
}
