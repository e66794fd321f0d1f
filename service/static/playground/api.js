// The service behind this page. Works in the page and in its worker.

import { authorization } from "./key.js";

/** A refusal: the sentence of the service, and the places it speaks of. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.name = "Refusal";
    this.places = problem.errors ?? [];
    this.problem = problem;
  }

  /** The first field that is to blame, if the service says so. */
  get field() {
    return this.places[0]?.loc[0];
  }
}

/**
 * Sends a body and reads the JSON of the answer: { reply, timing, size }. `received(done, total)` hears of every part,
 * `signal` ends it.
 *
 * Throws Refusal, or an Error if there is no answer at all.
 */
export async function post(url, body, contentType, { received, signal } = {}) {
  let response;
  try {
    const headers = { "Content-Type": contentType, Accept: "application/json", ...authorization() };
    response = await fetch(url, { method: "POST", headers, body, signal });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (!response.ok) throw new Refusal(await problem(response));
  const content = await download(response, received);
  return {
    reply: JSON.parse(await content.text()),
    timing: response.headers.get("Server-Timing") ?? "",
    size: content.size,
  };
}

async function download(response, received) {
  if (!received) return response.blob();
  const total = Number(response.headers.get("Content-Length"));
  const reader = response.body.getReader();
  const parts = [];
  let done = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    done += part.value.length;
    received(done, total);
  }
  return new Blob(parts);
}

async function problem(response) {
  try {
    return await response.json();
  } catch {
    return {
      detail: `The service answered ${response.status} ${response.statusText}.`,
    };
  }
}

/** Sends a JSON request to an operation. */
export const ask = (url, request, signal) => post(url, JSON.stringify(request), "application/json", { signal });

/**
 * A door for one at a time: `work` runs with the newest argument; those that came while it was busy are passed over,
 * so that a slider never waits for where it was a moment ago.
 */
export function latest(work) {
  let busy = false;
  let next;
  return async function enter(argument) {
    next = { argument };
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const { argument: newest } = next;
        next = undefined;
        await work(newest);
      }
    } finally {
      busy = false;
    }
  };
}
