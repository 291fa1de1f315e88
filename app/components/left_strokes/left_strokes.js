// Offers what people did at a card that is no longer on the page: on whichever page they are now, also after a reload.

const LOOK_MS = 200;
const KINDS = ["decisions", "labels", "answers"]; // as the cards name their queues

const mounted = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  if (!mounted.has(parentElement)) mounted.set(parentElement, new LeftStrokes(parentElement));
  mounted.get(parentElement).receive(data, setStateValue);
  return () => {
    mounted.get(parentElement)?.close();
    mounted.delete(parentElement);
  };
}

class LeftStrokes {
  constructor(parent) {
    this.words = document.createElement("p");
    this.words.className = "left";
    this.words.setAttribute("role", "status");
    parent.append(this.words);
    this.looking = setInterval(() => this.look(), LOOK_MS);
  }

  close() {
    clearInterval(this.looking);
    this.queue?.close();
    this.words.remove();
  }

  receive(data, setStateValue) {
    this.data = data;
    this.setStateValue = setStateValue;
    this.leaveToCard();
    this.queue?.acknowledge(data.acknowledged);
    this.connect();
    this.draw();
  }

  // One place at a time, and only what was there the last time, too: a card may be back within a moment.
  look() {
    this.leaveToCard();
    if (!this.queue?.length) this.take();
    this.draw();
  }

  // A card that is back offers by itself what waits, and has more to come.
  leaveToCard() {
    if (!this.queue || !hasCard(this.queue.place, this.queue)) return;
    this.queue.close();
    this.queue = null;
  }

  take() {
    const left = places().find((place) => this.isOurs(place) && waits(place) && !hasCard(place, this.queue));
    const again = left !== undefined && left === this.seen;
    this.seen = left;
    if (!again) return;
    this.queue?.close();
    this.address = addressOf(left);
    this.queue = new EventQueue(this.address.kind, left.slice(`stillroom/${this.address.kind}/`.length));
    this.connect();
  }

  // Not what somebody else decided who was logged in at this browser, nor what belongs to a set that is gone.
  isOurs(place) {
    const { kind, scope } = addressOf(place);
    return KINDS.includes(kind) && this.data.scopes.includes(scope);
  }

  connect() {
    this.queue?.connect((name, value) => this.setStateValue(name, { ...value, ...this.address }));
  }

  draw() {
    const { trouble } = this.data;
    const many = this.queue?.length ?? 0;
    const some = many ? `${many} waiting to be saved` : "";
    const text = some && trouble ? `${some}: ${trouble}` : some;
    if (this.words.textContent === text) return;
    this.words.textContent = text;
    this.words.classList.toggle("trouble", Boolean(trouble));
  }
}

function hasCard(place, own) {
  return [...strokes.connected].some((queue) => queue !== own && queue.place === place);
}

function waits(place) {
  return strokes.waiting.get(place)?.length !== 0; // what only the storage knows was never empty
}

function places() {
  try {
    return [...strokes.waiting.keys(), ...Object.keys(sessionStorage)];
  } catch {
    return [...strokes.waiting.keys()]; // no storage here
  }
}

function addressOf(place) {
  const [, kind, scope] = place.split("/"); // what follows the scope tells apart the editors of a page
  return { kind, scope };
}
