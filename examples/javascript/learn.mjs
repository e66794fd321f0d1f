// node learn.mjs http://localhost:8000: a last layer learns three samples, one POST /gradient for each step.
const [url = "http://localhost:8000"] = process.argv.slice(2);
const samples = { inputs: [[1, 0], [0, 1], [1, 1]], targets: [0, 1, 2] };
let layer = { weights: [[0, 0], [0, 0], [0, 0]], bias: [0, 0, 0] };

for (let step = 1; step <= 200; step += 1) {
  const reply = await fetch(`${url}/gradient`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...layer, ...samples, learning_rate: 2 }),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.detail);
  layer = { weights: answer.updated_weights, bias: answer.updated_bias };
  if (step % 50 === 0) console.log(`step ${step}: loss ${answer.loss.toFixed(4)}`);
}
