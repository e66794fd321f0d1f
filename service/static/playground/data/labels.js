// Labels as class indices, whether they were given as numbers or as names of classes.

import { writeNpy } from "./npy.js";
import { Unreadable } from "./unreadable.js";

const MOST_NAMES = 5;

/**
 * Return labels as a .npy file. Labels that are all names of columns mean those columns; other labels must be numbers,
 * counted from 0.
 */
export function encodeLabels(labels, classNames) {
  const texts = labels.map(String);
  const known = new Map((classNames ?? []).map((name, at) => [name, at]));
  if (known.size && texts.every((text) => known.has(text))) return vector(texts.map((text) => known.get(text)));
  const unknown = texts.findIndex((text) => text === "" || Number.isNaN(Number(text)));
  if (unknown >= 0) throw new Unreadable("labels", explain(unknown, texts[unknown], classNames));
  return vector(texts.map(Number));
}

const vector = (values) => writeNpy([values.length], values);

function explain(at, text, classNames) {
  if (text === "") return `Label ${at + 1} is empty.`;
  if (!classNames)
    return `Label ${at + 1} is a name. Name the classes in a first line of the logits, or number them from 0.`;
  const names = classNames.slice(0, MOST_NAMES).join(", ");
  const more = classNames.length > MOST_NAMES ? ", …" : "";
  return `Label ${at + 1} is not the name of a class. The classes are ${names}${more}.`;
}
