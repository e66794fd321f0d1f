// Requests to the service, from the page and from its worker.

import { authorization } from "./key.js";

/** An error response of the service: its sentence, and the places in the request that it names. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.name = "Refusal";
    this.places = problem.errors ?? [];
    this.problem = problem;
  }

  /** The first field that the error names, if there is one. */
  get field() {
    return this.places[0]?.loc[0];
  }
}

/**
 * Send a body and return { content, timing }, with the content of the response as a Blob. `received(done, total)` is
 * called with the number of bytes after each part of the response, and `signal` cancels the request.
 *
 * Throws Refusal for an error response, and Error if no response came.
 */
export async function post(url, body, contentType, { accept = "application/json", received, signal } = {}) {
  let response;
  try {
    const headers = { "Content-Type": contentType, Accept: accept, ...authorization() };
    response = await fetch(url, { method: "POST", headers, body, signal });
  } catch {
    throw new Error("The service does not answer. Check that it is running.");
  }
  if (!response.ok) throw new Refusal(await readProblem(response));
  return {
    content: await readContent(response, received),
    timing: response.headers.get("Server-Timing") ?? "",
  };
}

async function readContent(response, received) {
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

async function readProblem(response) {
  try {
    return await response.json();
  } catch {
    return { detail: `The service answered ${response.status} ${response.statusText}.` };
  }
}

/** Send a JSON request and return { reply, timing }. */
export async function ask(url, request, signal) {
  const { content, timing } = await post(url, JSON.stringify(request), "application/json", { signal });
  return { reply: JSON.parse(await content.text()), timing };
}

/**
 * Return a function that runs `work` with its argument, one call at a time. Of the calls made while it is busy only the
 * newest runs, so the page never works through a queue of old positions of a slider.
 */
export function latest(work) {
  let isBusy = false;
  let next;
  return async function enter(argument) {
    next = { argument };
    if (isBusy) return;
    isBusy = true;
    try {
      while (next) {
        const { argument: newest } = next;
        next = undefined;
        await work(newest);
      }
    } finally {
      isBusy = false;
    }
  };
}
