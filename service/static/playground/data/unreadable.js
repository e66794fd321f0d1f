// The error of an input that the page cannot read.

/** A file or text that cannot be read. `field` is the input it was given for: logits or labels. */
export class Unreadable extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}
