// A request as code for curl, Python and JavaScript.

import { message } from "./format.js";
import { getKey } from "./key.js";

const entries = (headers) => Object.entries(headers);

function curl(url, headers, body) {
  const flags = entries(headers).map(([name, value]) => `-H '${name}: ${value}'`);
  return [`curl -s '${url}'`, ...flags, body].join(" \\\n  ");
}

function python(url, headers, imports, setup, body) {
  const fields = entries(headers).map(([name, value]) => `"${name}": "${value}"`);
  const named = fields.length ? `headers = {${fields.join(", ")}}\n` : "";
  const passed = fields.length ? ", headers=headers" : "";
  return `${imports}import httpx

${setup}${named}reply = httpx.post("${url}", ${body}${passed}).raise_for_status().json()
print(reply)`;
}

function javascript(url, headers, setup, body) {
  const fields = entries(headers).map(([name, value]) => `"${name}": "${value}"`);
  return `${setup}
const reply = await fetch("${url}", {
  method: "POST",
  headers: { ${fields.join(", ")} },
  body: ${body},
});
if (!reply.ok) throw new Error((await reply.json()).detail);
console.log(await reply.json());`;
}

/** Return a placeholder for the key, if the service asked for one. The code never shows the key itself. */
const key = () => (getKey() ? { Authorization: "Bearer YOUR_KEY" } : {});

/** Return the code of a JSON request, by language. */
export function jsonSamples(url, request) {
  const headers = { "Content-Type": "application/json", ...key() };
  const setup = `request = ${message(request).replaceAll("null", "None")}\n`;
  return {
    curl: curl(url, headers, `-d '${JSON.stringify(request)}'`),
    python: python(url, key(), "", setup, "json=request"),
    javascript: javascript(url, headers, `const request = ${message(request)};`, "JSON.stringify(request)"),
  };
}

/** Return the code of a request whose body is a file, by language. */
export function fileSamples(url, name, contentType) {
  const headers = { "Content-Type": contentType, Accept: "application/json", ...key() };
  const imports = "from pathlib import Path\n\n";
  return {
    curl: curl(url, headers, `--data-binary @${name}`),
    python: python(url, headers, imports, "", `content=Path("${name}").read_bytes()`),
    javascript: javascript(url, headers, 'import { readFile } from "node:fs/promises";\n', `await readFile("${name}")`),
  };
}
