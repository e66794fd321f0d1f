// Fitting the temperature: the loss is smallest where its derivative by T is 0, and the service knows that derivative.

const FINEST = 1e-5;
const WIDEST = Math.log(1000);

/**
 * The temperature between 1/1000 and 1000 at which the loss is smallest; an end of that range if it falls all the way.
 *
 * slope: asks for the derivative of the loss at a temperature. It is negative below the best one and positive above.
 * The best one is bracketed by doubling steps in ln T, and the bracket halved until it is narrow.
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
