// The page's side of the worker.

import { getKey } from "../key.js";

/** Returns run(task, argument, onProgress), a promise of the result, and stop(), which ends whatever runs. */
export function startWorker() {
  let worker;
  let waiting = new Map();
  let last = 0;

  function answer({ data: { id, progress, result, error } }) {
    const { resolve, reject, onProgress } = waiting.get(id);
    if (progress) return onProgress?.(progress);
    waiting.delete(id);
    if (error) reject(error);
    else resolve(result);
  }

  return {
    run(task, argument, onProgress) {
      if (!worker) {
        worker = new Worker(new URL("worker.js", import.meta.url), {
          type: "module",
        });
        worker.addEventListener("message", answer);
      }
      const id = ++last;
      worker.postMessage({ id, task, argument, key: getKey() });
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onProgress }));
    },
    stop() {
      worker?.terminate();
      worker = undefined;
      for (const { reject } of waiting.values()) reject({ message: "" });
      waiting = new Map();
    },
  };
}
