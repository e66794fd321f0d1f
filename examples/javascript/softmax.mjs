// node softmax.mjs http://localhost:8000: probabilities of a batch of logits, as raw doubles both ways.
const [url = "http://localhost:8000"] = process.argv.slice(2);
const logits = Float64Array.of(2, 3, 4, 3, 1, -3);

const input = { name: "logits", shape: [2, 3], datatype: "FP64", parameters: { binary_data_size: logits.byteLength } };
const header = new TextEncoder().encode(JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } }));
const reply = await fetch(`${url}/v2/models/softmax/infer`, {
  method: "POST",
  headers: { "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": header.length },
  body: new Blob([header, logits]),
});
if (!reply.ok) throw new Error((await reply.json()).error);
const start = Number(reply.headers.get("Inference-Header-Content-Length"));
const probabilities = new Float64Array((await reply.arrayBuffer()).slice(start), 0, logits.length);
console.log(probabilities.join(" "));
