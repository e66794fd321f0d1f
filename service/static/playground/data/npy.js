// NumPy's .npy files.

const MAGIC = "\x93NUMPY";
const ALIGNMENT = 64;
const ARRAYS = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  i8: BigInt64Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  u8: BigUint64Array,
};

/** Return whether bytes start like a .npy file. */
export const isNpy = (buffer) =>
  String.fromCharCode(...new Uint8Array(buffer, 0, Math.min(MAGIC.length, buffer.byteLength))) === MAGIC;

/** Return { shape, values } of a .npy file, with the values as a flat list. Throws an Error that says what is wrong. */
export function readNpy(buffer) {
  const { kind, isBigEndian, isFortran, shape, start } = readHeader(buffer);
  const size = kind[0] === "U" ? 4 * Number(kind.slice(1)) : Number(kind.slice(1));
  const length = shape.reduce((product, next) => product * next, 1);
  if (isFortran && shape.length > 1) throw new Error("The array is in Fortran order. Save np.ascontiguousarray of it.");
  if (start + size * length !== buffer.byteLength)
    throw new Error("The .npy file is cut off, or has bytes at its end.");
  const bytes = buffer.slice(start);
  if (isBigEndian) swapBytes(new Uint8Array(bytes), kind[0] === "U" ? 4 : size);
  if (kind[0] === "U") return { shape, values: readTexts(new Uint32Array(bytes), size / 4, length) };
  const Values = ARRAYS[kind];
  if (!Values) throw new Error(`The .npy file holds neither numbers nor names (its type is ${kind}).`);
  const values = new Values(bytes);
  return { shape, values: kind.endsWith("8") && kind !== "f8" ? Float64Array.from(values, Number) : values };
}

/** Return the shape of a .npy file. Throws an Error if its header is broken. */
export const readShape = (buffer) => readHeader(buffer).shape;

function readHeader(buffer) {
  const view = new DataView(buffer);
  const isLong = view.getUint8(6) > 1;
  const start = (isLong ? 12 : 10) + (isLong ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, Math.min(start, buffer.byteLength)));
  const [, order, kind] = header.match(/'descr'\s*:\s*'([<>=|])?(\w+)'/) ?? [];
  const [, sizes] = header.match(/'shape'\s*:\s*\(([^)]*)\)/) ?? [];
  if (!kind || sizes === undefined) throw new Error("The header of the .npy file is broken.");
  const shape = sizes.split(",").map((size) => size.trim());
  return {
    kind,
    isBigEndian: order === ">",
    isFortran: /'fortran_order'\s*:\s*True/.test(header),
    shape: shape.filter(Boolean).map(Number),
    start,
  };
}

function swapBytes(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/** Return the texts of a NumPy array of type U: code points, filled up with zeros. */
function readTexts(points, width, length) {
  const read = (row) => {
    const own = points.subarray(row * width, (row + 1) * width);
    return String.fromCodePoint(...own.filter((point) => point > 0));
  };
  return Array.from({ length }, (_, row) => read(row));
}

/** Return numbers as a .npy file of float64. */
export function writeNpy(shape, values) {
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape.map((size) => `${size},`).join(" ")}), }`;
  const start = Math.ceil((MAGIC.length + 4 + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(start + 8 * values.length);
  const head = `${MAGIC}\x01\x00\x00\x00${text.padEnd(start - 11)}\n`;
  for (let at = 0; at < start; at++) bytes[at] = head.charCodeAt(at);
  new DataView(bytes.buffer).setUint16(8, start - 10, true);
  new Float64Array(bytes.buffer, start).set(values);
  return bytes.buffer;
}
