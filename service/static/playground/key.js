// The API key of the service. Only the memory of this page holds it.

let key = "";

/** Remember a key. */
export const setKey = (next) => {
  key = next;
};

/** Return the key, "" if there is none. */
export const getKey = () => key;

/** Return the request header that carries the key, if there is one. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});
