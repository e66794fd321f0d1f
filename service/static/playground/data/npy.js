// NumPy's .npy files: labels are read from them, and numbers that were typed are written as one.
// Logits are never read here: the service gets such a file as it is.

const MAGIC = "\x93NUMPY";
const READERS = {
  f2: "getFloat16",
  f4: "getFloat32",
  f8: "getFloat64",
  i1: "getInt8",
  i2: "getInt16",
  i4: "getInt32",
  i8: "getBigInt64",
  u1: "getUint8",
  u2: "getUint16",
  u4: "getUint32",
  u8: "getBigUint64",
};

/** Do these bytes start like a .npy file? */
export function isNpy(buffer) {
  const start = new Uint8Array(buffer, 0, Math.min(MAGIC.length, buffer.byteLength));
  return String.fromCharCode(...start) === MAGIC;
}

/** The numbers of a .npy file of one axis. Throws an Error that says what it is instead. */
export function readVector(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 10, start - 10));
  const [, order, kind] = header.match(/'descr'\s*:\s*'([<>=|])?(\w\d)'/) ?? [];
  const shape = header
    .match(/'shape'\s*:\s*\(([^)]*)\)/)?.[1]
    .split(",")
    .map((size) => size.trim())
    .filter(Boolean);
  const read = READERS[kind];
  if (!read || !shape || !(read in view)) throw new Error("The .npy file of the labels does not hold numbers.");
  if (shape.length !== 1)
    throw new Error(`The labels must have one axis, a label for each row; the .npy file has ${shape.length}.`);
  const size = Number(kind[1]);
  if (start + size * shape[0] !== buffer.byteLength) throw new Error("The .npy file of the labels is cut off.");
  return Array.from({ length: shape[0] }, (_, row) => Number(view[read](start + size * row, order !== ">")));
}

/** Numbers of one axis as a .npy file of float64. */
export function writeVector(values) {
  const header = `{'descr': '<f8', 'fortran_order': False, 'shape': (${values.length},), }`;
  const length = Math.ceil((MAGIC.length + 4 + header.length + 1) / 64) * 64;
  const bytes = new Uint8Array(length + 8 * values.length);
  const text = `${MAGIC}\x01\x00\x00\x00${header.padEnd(length - 11)}\n`;
  for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, length - 10, true);
  values.forEach((value, row) => view.setFloat64(length + 8 * row, value, true));
  return bytes.buffer;
}
