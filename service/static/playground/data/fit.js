// The temperature with the smallest loss, found by bisection of the loss's derivative with respect to T.

const FINEST = 1e-5;
const WIDEST = Math.log(1000);

/**
 * Return the temperature between 1/1000 and 1000 with the smallest loss. `slope(T)` promises the derivative of the loss,
 * which is negative below that temperature and positive above it. If the loss falls to an end, the end is returned.
 */
export async function fitTemperature(slope) {
  const at = (logarithm) => slope(Math.exp(logarithm));
  const direction = (await at(0)) > 0 ? -1 : 1;
  let near = 0;
  let far = direction * Math.LN2;
  while ((await at(far)) * direction < 0) {
    if (Math.abs(far) >= WIDEST) return Math.exp(direction * WIDEST);
    near = far;
    far = Math.max(-WIDEST, Math.min(WIDEST, 2 * far));
  }
  while (Math.abs(far - near) > FINEST) {
    const middle = (near + far) / 2;
    if ((await at(middle)) * direction < 0) near = middle;
    else far = middle;
  }
  return Math.exp((near + far) / 2);
}
