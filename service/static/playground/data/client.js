// The page's side of the worker.

import { getKey } from "../key.js";

/** Starts the worker; returns run(task, argument, onProgress), a promise of the result. A task ends the one before it. */
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

  return function run(task, argument, onProgress) {
    const id = ++last;
    worker.postMessage({ id, task, argument, key: getKey() });
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onProgress }));
  };
}
