// The requests of the article, and what each program prints.
export const url = process.argv[2] ?? "http://localhost:8000";
export const batch = { logits: [[2, 3, 4]] };
export const classified = { logits: [[2, 3, 4], [3, 1, -3], [2, 3, 4]], targets: [1, 0, 2] };
export const layer = { inputs: [[1, 2]], weights: [[0, 1], [1, 1], [2, 1]], bias: [0, 0, 0], targets: [1], learning_rate: 1 };

export interface Results {
  probabilities: number[][] | undefined;
  predictions: number[] | undefined;
  top_k_classes: number[][] | undefined;
  loss: number | undefined;
  logits_gradient: number[][] | undefined;
  updated_weights: number[][] | undefined;
  temperature: number | undefined;
  at_bound: number | undefined;
  loss_before: number | undefined;
  refusal: string | undefined;
}

export function print(results: Results): void {
  console.log(JSON.stringify(results));
}
