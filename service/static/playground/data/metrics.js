// Measures of how well probabilities fit their labels.

const BINS = 15;
export const TOP = 5;

/** Return the measures of results with labels: { perplexity, topAccuracy, brier, calibrationError, bins }. */
export function metrics({ probabilities, predictions, labels, classes, rows }, loss) {
  const bins = Array.from({ length: BINS }, () => ({ rows: 0, confidence: 0, accuracy: 0 }));
  let [squares, inTop] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const [start, label, prediction] = [row * classes, labels[row], predictions[row]];
    const [own, confidence] = [probabilities[start + label], probabilities[start + prediction]];
    let above = 0;
    for (let i = 0; i < classes; i++) {
      const p = probabilities[start + i];
      squares += (p - (i === label)) ** 2;
      // Ties go to the lower class, as in the prediction.
      above += p > own || (p === own && i < label);
    }
    inTop += above < TOP;
    const bin = bins[Math.min(BINS - 1, Math.max(0, Math.ceil(confidence * BINS) - 1))];
    bin.rows += 1;
    bin.confidence += confidence;
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
