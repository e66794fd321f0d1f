// A request as code that can be pasted somewhere else.

import { message } from "./format.js";

const json = (request) => JSON.stringify(request);
const python = (request) => message(request).replaceAll("null", "None");

/** A JSON request as curl, Python and JavaScript. */
export const jsonSamples = (url, request) => ({
  curl: `curl -s '${url}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${json(request)}'`,
  python: `import httpx

request = ${python(request)}
reply = httpx.post("${url}", json=request).raise_for_status().json()
print(reply)`,
  javascript: `const request = ${message(request)};
const reply = await fetch("${url}", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(request),
});
if (!reply.ok) throw new Error((await reply.json()).detail);
console.log(await reply.json());`,
});

/** A request whose body is a file, as curl, Python and JavaScript. */
export const fileSamples = (url, name, contentType) => ({
  curl: `curl -s '${url}' \\\n  -H 'Content-Type: ${contentType}' -H 'Accept: application/json' \\\n  --data-binary @${name}`,
  python: `from pathlib import Path

import httpx

headers = {"Content-Type": "${contentType}", "Accept": "application/json"}
body = Path("${name}").read_bytes()
reply = httpx.post("${url}", content=body, headers=headers).raise_for_status().json()
print(reply.keys())`,
  javascript: `import { readFile } from "node:fs/promises";

const reply = await fetch("${url}", {
  method: "POST",
  headers: { "Content-Type": "${contentType}", Accept: "application/json" },
  body: await readFile("${name}"),
});
if (!reply.ok) throw new Error((await reply.json()).detail);
console.log(Object.keys(await reply.json()));`,
});
