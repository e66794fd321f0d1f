// The kind of a file, judged by its first bytes, so that an error can name it.

import { isNpy } from "./npy.js";
import { Unreadable } from "./unreadable.js";
import { inflate, isZip } from "./zip.js";

const OTHERS = [
  ["\x89PNG", "a PNG picture"],
  ["\xff\xd8\xff", "a JPEG picture"],
  ["GIF8", "a GIF picture"],
  ["RIFF", "a picture or sound"],
  ["%PDF", "a PDF document"],
  ["PAR1", "a Parquet file"],
  ["\x89HDF", "an HDF5 file"],
  ["ARROW1", "an Arrow file"],
  ["\x80", "a Python pickle, or a PyTorch file"],
];
const GZIP = "\x1f\x8b";
const WANTED = "Give a .csv, .json, .npy or .npz file.";

/** Return { npy }, { npz } or { text } of a file, or of a text as a Blob. Throws Unreadable for any other content. */
export async function readContent(source, field) {
  let buffer = await source.arrayBuffer();
  const starts = (mark) =>
    String.fromCharCode(...new Uint8Array(buffer, 0, Math.min(8, buffer.byteLength))).startsWith(mark);
  if (starts(GZIP)) buffer = await inflate(buffer, "gzip").catch(() => refuse(field, "a broken gzip file"));
  if (isNpy(buffer)) return { npy: buffer };
  if (isZip(buffer)) return { npz: buffer };
  const [, other] = OTHERS.find(([mark]) => starts(mark)) ?? [];
  if (other) refuse(field, other);
  if (/\.np[yz]$/i.test(source.name ?? ""))
    throw new Unreadable(field, `${source.name} does not start like a NumPy file. It may be damaged; save it again.`);
  return { text: decode(buffer, field) };
}

function refuse(field, what) {
  throw new Unreadable(field, `This is ${what}, not a table of numbers. ${WANTED}`);
}

function decode(buffer, field) {
  const bytes = new Uint8Array(buffer);
  // Excel saves "Unicode text" as UTF-16 with a byte order mark.
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(buffer).trim();
  if (bytes.subarray(0, 4096).includes(0)) refuse(field, "a binary file of an unknown kind");
  return new TextDecoder().decode(buffer).trim();
}
