// The page's side of the worker.

import { getKey } from "../key.js";

/** Start the worker. Return ask(name, argument, onProgress), which promises the result of a task or question. */
export function startWorker() {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;

  worker.addEventListener("message", ({ data: { id, progress, result, error } }) => {
    const { resolve, reject, onProgress } = waiting.get(id);
    if (progress) {
      onProgress?.(progress);
      return;
    }
    waiting.delete(id);
    if (error) reject(error);
    else resolve(result);
  });

  // A worker that does not start answers nothing, so its tasks would wait forever.
  worker.addEventListener("error", () => {
    for (const { reject } of waiting.values()) reject(new Error("This browser cannot run the part that reads data."));
    waiting.clear();
  });

  return function ask(name, argument, onProgress) {
    const id = ++last;
    worker.postMessage({ id, name, argument, key: getKey() });
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onProgress }));
  };
}
