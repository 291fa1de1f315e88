const DIGIT_CLASSES = 10;
const STRIP = 8;
const SLOW_MS = 4_000;
const KEYS = { k: "keep", a: "accept", l: "relabel", "/": "relabel", p: "prune", u: "restore", s: "skip", z: "undo", "?": "help" };
const BUTTONS = [
  ["keep", "K", "Keep"],
  ["accept", "A", "Accept"],
  ["relabel", "L", "Relabel…"],
  ["prune", "P", "Prune…"],
  ["restore", "U", "Put back"],
  ["skip", "S", "Skip"],
  ["undo", "Z", "Undo"],
];
const HELP =
  "K keep the label · A accept the suggestion · L or / search a class · 0–9 relabel at once (up to ten classes) · " +
  "P prune, then 1–5 for the reason or Enter for none · U put a pruned image back · S skip · Z undo · Esc cancel";

const cards = new WeakMap();

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let card = cards.get(parentElement);
  if (!card) {
    card = new DecisionCard(parentElement);
    cards.set(parentElement, card);
  }
  card.receive(data, setStateValue);
  return () => {
    card.close();
    cards.delete(parentElement);
  };
}

class DecisionCard {
  constructor(parent) {
    this.mode = "idle";
    this.view = new CardView(parent, {
      act: (action) => this.act(action),
      relabel: (label) => this.relabel(label),
      prune: (reason) => this.decide("prune", { reason }),
      cancel: () => this.enter("idle"),
    });
    this.onKey = (event) => this.handleKey(event);
    document.addEventListener("keydown", this.onKey, true); // before a closed menu takes the key for a search
  }

  close() {
    document.removeEventListener("keydown", this.onKey, true);
    this.queue.close();
    this.view.close();
  }

  receive(data, setStateValue) {
    if (this.queue?.scope !== data.scope) this.begin(data.scope);
    this.data = data;
    this.queue.acknowledge(data.acknowledged);
    this.queue.connect(setStateValue);
    this.restored = this.restored.map((item) => data.items.find((one) => one.id === item.id) ?? item);
    this.showNext();
  }

  begin(scope) {
    this.queue?.close();
    this.queue = new DecisionQueue(scope);
    this.current = null;
    this.history = [];
    this.restored = []; // undone here, to be decided again before anything else; the last one first
    this.mode = "idle";
  }

  showNext() {
    const decided = this.queue.decided();
    const upcoming = this.data.items.filter((item) => !decided.has(item.id));
    const stay = upcoming.find((item) => item.id === this.current?.id);
    const next = this.restored.at(-1) ?? stay ?? upcoming[0] ?? null;
    if (next?.id !== this.current?.id) {
      this.shownAt = performance.now();
      this.mode = "idle";
    }
    this.current = next;
    const following = upcoming.filter((item) => item.id !== next?.id);
    this.view.draw(this.data, next, following.slice(0, STRIP), this.remaining(decided));
    this.enter(this.mode);
    this.view.drawStatus(this.queue.length, this.data.trouble);
  }

  remaining(decided) {
    const known = this.data.items.filter((item) => decided.has(item.id)).length;
    return Math.max(this.data.remaining - known, 0);
  }

  enter(mode) {
    this.mode = mode;
    this.view.enter(mode, this.current, this.history.length > 0, this.data.class_names);
  }

  act(action) {
    if (action === "help") this.view.toggleHelp();
    else if (action === "undo") this.undo();
    else if (!this.current) return;
    else if (action === "accept") this.accept();
    else if (action === "relabel" || action === "prune") this.enter(this.mode === action ? "idle" : action);
    else if (action !== "restore" || this.current.pruned) this.decide(action, {});
  }

  accept() {
    const suggestion = this.current.suggestion;
    if (suggestion?.action === "relabel") this.relabel(suggestion.label);
    else if (suggestion?.action === "prune") this.decide("prune", { reason: suggestion.reason });
  }

  relabel(label) {
    if (!this.current || label >= this.data.class_names.length) return;
    if (label === this.current.given) this.decide("keep", {});
    else this.decide("relabel", { label });
  }

  decide(action, extra) {
    const item = this.current;
    if (!item) return;
    const seconds = Math.round(performance.now() - this.shownAt) / 1000;
    this.restored = this.restored.filter((one) => one.id !== item.id);
    this.history.push(item);
    this.queue.add({ action, sample_id: item.id, seconds, ...extra });
    this.mode = "idle";
    this.showNext();
  }

  undo() {
    const item = this.history.pop();
    if (!item) return;
    this.restored.push(item);
    this.queue.add({ action: "undo", sample_id: item.id });
    this.showNext();
  }

  handleKey(event) {
    // A key held down repeats, and would decide images that nobody has looked at.
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!this.view.listens(event)) return;
    if (!this.handlePlainKey(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  handlePlainKey(key) {
    if (this.mode !== "idle" && key === "Escape") {
      this.enter("idle");
      return true;
    }
    if (this.mode === "prune" && (key === "Enter" || this.data.reasons[Number(key) - 1])) {
      this.decide("prune", key === "Enter" ? {} : { reason: this.data.reasons[Number(key) - 1] });
      return true;
    }
    if (/^[0-9]$/.test(key) && this.data.class_names.length <= DIGIT_CLASSES && this.mode === "idle") {
      this.relabel(Number(key));
      return true;
    }
    const action = KEYS[key.toLowerCase()];
    if (action) this.act(action);
    return Boolean(action);
  }
}
