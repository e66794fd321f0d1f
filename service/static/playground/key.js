// The key that a service may ask for. It stays in the memory of this page.

let key = "";

export const setKey = (next) => {
  key = next;
};

export const getKey = () => key;

/** The header that shows the key, if there is one. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});
