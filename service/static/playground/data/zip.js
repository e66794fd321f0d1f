// ZIP archives, the format of NumPy's .npz files.

const LOCAL = 0x04034b50;
const ENTRY = 0x02014b50;
const END = 0x06054b50;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xffff;
const DEFLATED = 8;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = CRC_TABLE[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Return whether bytes start like a ZIP archive. */
export const isZip = (buffer) => buffer.byteLength > END_SIZE && new DataView(buffer).getUint32(0, true) === LOCAL;

/** Return the members of an archive by name, as functions that promise their bytes. Throws an Error if it is broken. */
export function readArchive(buffer) {
  const view = new DataView(buffer);
  const end = findEnd(view);
  const members = new Map();
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("The directory of the archive is broken.");
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
    const [method, size, local] = [
      view.getUint16(at + 10, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ];
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    members.set(name, () => unpack(buffer.slice(start, start + size), method));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return members;
}

function findEnd(view) {
  for (let at = view.byteLength - END_SIZE; at >= Math.max(0, view.byteLength - END_SIZE - LONGEST_COMMENT); at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new Error("The archive is cut off.");
}

const unpack = async (bytes, method) => (method === DEFLATED ? inflate(bytes, "deflate-raw") : bytes);

/** Return decompressed bytes. `format` is deflate-raw or gzip. */
export const inflate = (bytes, format) =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format))).arrayBuffer();

/** Return little-endian fields as bytes, from pairs of a width in bytes and a value. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let place = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += width;
  }
  return view.buffer;
}

/** Return the fields that the header of a member and its directory entry share: version to length of the extra field. */
const common = (name, bytes, crc) => [
  [2, 20],
  [2, 0],
  [2, 0],
  [2, 0],
  [2, 0x21], // 1 January 1980, the first date that the format has
  [4, crc],
  [4, bytes.length],
  [4, bytes.length],
  [2, name.length],
  [2, 0],
];

/** Return an archive of .npy files by array name, not compressed, as a Blob. */
export function writeArchive(arrays) {
  const parts = [];
  const directory = [];
  let place = 0;
  for (const [array, buffer] of Object.entries(arrays)) {
    const bytes = new Uint8Array(buffer);
    const name = new TextEncoder().encode(`${array}.npy`);
    const fields = common(name, bytes, crc32(bytes));
    const head = record([4, LOCAL], ...fields);
    parts.push(head, name, bytes);
    directory.push(record([4, ENTRY], [2, 20], ...fields, [2, 0], [2, 0], [2, 0], [4, 0], [4, place]), name);
    place += head.byteLength + name.length + bytes.length;
  }
  const size = new Blob(directory).size;
  const entries = directory.length / 2;
  const end = record([4, END], [2, 0], [2, 0], [2, entries], [2, entries], [4, size], [4, place], [2, 0]);
  return new Blob([...parts, ...directory, end]);
}
