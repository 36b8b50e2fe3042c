// Names and colours by hand, as long as the page is open.

/** A name as the ZIP has it: what differs only in white space is one name. */
const oneLine = (name) => name.trim().replace(/\s+/g, " ").normalize("NFC");

export class Edits {
  constructor() {
    this.kept = new Map();
    this.names = [];
    this.colours = [];
  }

  /** What is edited now; `key` tells whose names these are: however pictures are refined, clusters are the same. */
  open(layer, key) {
    const text = JSON.stringify(key);
    if (!this.kept.has(text)) this.kept.set(text, { names: [...layer.names], colours: layer.colours.map((c) => [...c]) });
    Object.assign(this, this.kept.get(text));
    this.usual = layer.names;
  }

  nameOf(id) {
    return oneLine(this.names[id] ?? "") || this.usual[id] || "no segment";
  }

  change(id, { name, colour }) {
    if (name !== undefined) {
      this.names[id] = name;
      // One name, one class, one colour.
      const twin = this.names.findIndex((_, i) => i !== id && this.nameOf(i) === this.nameOf(id));
      if (twin >= 0) this.colours[id] = [...this.colours[twin]];
    }
    if (colour === undefined) return;
    this.colours.forEach((_, i) => {
      if (this.nameOf(i) === this.nameOf(id)) this.colours[i] = [...colour];
    });
  }
}
