// A .npz archive: .npy files in a ZIP file, not compressed.

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Little-endian fields: pairs of a width in bytes and a value. */
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

/** What a member's own header and its entry in the directory share: version, flags, method, time, date, sizes. */
const common = (name, bytes, crc) => [
  [2, 20],
  [2, 0],
  [2, 0],
  [2, 0],
  [2, 0x21],
  [4, crc],
  [4, bytes.length],
  [4, bytes.length],
  [2, name.length],
  [2, 0],
];

/** An archive of buffers by name, as a Blob. */
export function writeArchive(members) {
  const parts = [];
  const directory = [];
  let place = 0;
  for (const [member, buffer] of Object.entries(members)) {
    const bytes = new Uint8Array(buffer);
    const name = new TextEncoder().encode(`${member}.npy`);
    const fields = common(name, bytes, crc32(bytes));
    const head = record([4, 0x04034b50], ...fields);
    parts.push(head, name, bytes);
    directory.push(record([4, 0x02014b50], [2, 20], ...fields, [2, 0], [2, 0], [2, 0], [4, 0], [4, place]), name);
    place += head.byteLength + name.length + bytes.length;
  }
  const size = new Blob(directory).size;
  const entries = directory.length / 2;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, entries], [2, entries], [4, size], [4, place], [2, 0]);
  return new Blob([...parts, ...directory, end]);
}
