// Measures of how well probabilities fit their labels.

const BINS = 15;
export const TOP = 5;

/** Return the measures of results with labels: { perplexity, topAccuracy, brier, calibrationError, bins }. */
export function metrics({ probabilities, predictions, labels, classes, rows }, loss) {
  const bins = Array.from({ length: BINS }, () => ({ rows: 0, confidence: 0, accuracy: 0 }));
  let [squares, inTop] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    const [label, prediction] = [labels[row], predictions[row]];
    squares += 1 - 2 * own[label] + own.reduce((sum, p) => sum + p * p, 0);
    // Ties go to the lower class, as in the prediction.
    inTop += own.reduce((above, p, i) => above + (p > own[label] || (p === own[label] && i < label)), 0) < TOP;
    const bin = bins[Math.min(BINS - 1, Math.max(0, Math.ceil(own[prediction] * BINS) - 1))];
    bin.rows += 1;
    bin.confidence += own[prediction];
    bin.accuracy += prediction === label;
  }
  for (const bin of bins.filter((each) => each.rows)) {
    bin.confidence /= bin.rows;
    bin.accuracy /= bin.rows;
  }
  const gap = (bin) => (bin.rows / rows) * Math.abs(bin.accuracy - bin.confidence);
  return {
    perplexity: Math.exp(loss),
    topAccuracy: inTop / rows,
    brier: squares / rows,
    calibrationError: bins.reduce((sum, bin) => sum + gap(bin), 0),
    bins,
  };
}
