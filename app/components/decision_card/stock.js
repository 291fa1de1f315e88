// What this tab has been sent and still holds, by key: the server only names what is here (app/components/shipment.py).

const MOST_HELD = 400; // three times what one message names; every keystroke says which they are
const MOST_HELD_LETTERS = 60_000_000;

class Stock {
  constructor() {
    this.values = new Map(); // the one used longest ago first
    this.letters = 0;
    this.missing = new Set();
  }

  take(shipped) {
    for (const [key, value] of Object.entries(shipped)) if (!this.values.has(key)) this.put(key, { value });
  }

  put(key, held) {
    this.values.set(key, held);
    this.letters += lettersOf(held.value);
  }

  // The value of a key; null for the empty one. What is not here is noted as missing.
  get(key) {
    if (!key) return null;
    const held = this.values.get(key);
    if (!held) this.missing.add(key);
    else this.values.delete(key), this.values.set(key, held);
    return held?.value ?? null;
  }

  // The image of a key as an element, decoded before it is wanted.
  picture(key) {
    const uri = this.get(key);
    if (!uri) return null;
    const held = this.values.get(key);
    held.picture ??= decoded(uri);
    return held.picture;
  }

  forgetOldest() {
    for (const [key, { value }] of this.values) {
      if (this.values.size <= MOST_HELD && this.letters <= MOST_HELD_LETTERS) return;
      this.values.delete(key);
      this.letters -= lettersOf(value);
    }
  }

  keys() {
    return [...this.values.keys()];
  }

  // An item with values for keys; null while some of it is not here: nothing may be decided that cannot be seen.
  item(sent) {
    const before = this.missing.size;
    const item = {
      ...sent,
      signature: JSON.stringify(sent),
      picture: this.picture(sent.image),
      storedPicture: this.picture(sent.stored),
      bars: this.get(sent.bars),
      soft: this.get(sent.soft),
      near: (this.get(sent.near) ?? []).map((one) => this.candidate(one)),
    };
    return this.missing.size === before ? item : null;
  }

  candidate(one) {
    return { ...one, strips: one.strips.map((strip) => this.strip(strip)) };
  }

  strip(sent) {
    this.picture(sent.sheet.uri); // decoded before it is wanted
    return { ...sent, sheet: { ...sent.sheet, uri: this.get(sent.sheet.uri) ?? "" } };
  }
}

function decoded(uri) {
  const made = image({ image: uri }, "");
  made.decode().catch(() => {}); // an image that cannot be decoded shows its alternative text
  return made;
}

function lettersOf(value) {
  return typeof value === "string" ? value.length : 1_000;
}
