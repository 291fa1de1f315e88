// Decisions that the server has not acknowledged yet. They survive a reload in sessionStorage and are sent again, all of
// them, with every message; the server leaves out what it has already committed (app/components/event_queue.py).

const RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;

class DecisionQueue {
  constructor(scope) {
    this.scope = scope;
    this.place = `stillroom/decisions/${scope}`;
    this.token = freshToken();
    this.seq = 0;
    this.messages = 0;
    this.wait = RETRY_MS;
    this.entries = this.load();
  }

  get length() {
    return this.entries.length;
  }

  add(event) {
    this.entries.push({ token: this.token, seq: this.seq++, at: new Date().toISOString(), ...event });
    this.save();
    this.send();
  }

  // Samples whose latest waiting entry is a decision: they must not be shown again before the server knows.
  decided() {
    const latest = new Map(this.entries.map((entry) => [entry.sample_id, entry.action]));
    return new Set([...latest].filter(([, action]) => action !== "undo").map(([id]) => id));
  }

  acknowledge(acknowledged) {
    const waiting = this.entries.filter((entry) => !(entry.seq <= acknowledged[entry.token]));
    if (waiting.length === this.entries.length) return;
    this.entries = waiting;
    this.wait = RETRY_MS;
    this.save();
    if (!waiting.length) clearTimeout(this.timer);
  }

  connect(setStateValue) {
    const first = !this.setStateValue;
    this.setStateValue = setStateValue;
    if (first && this.length) this.send();
  }

  // A message may be lost with its connection, so it is repeated, ever more rarely, until it is answered.
  send() {
    clearTimeout(this.timer);
    this.messages += 1;
    this.setStateValue("events", { entries: this.entries, message: `${this.token}/${this.messages}` });
    this.timer = setTimeout(() => this.length && this.send(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_RETRY_MS);
  }

  close() {
    clearTimeout(this.timer);
  }

  load() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.place) ?? "[]");
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  }

  save() {
    try {
      if (this.entries.length) sessionStorage.setItem(this.place, JSON.stringify(this.entries));
      else sessionStorage.removeItem(this.place);
    } catch {
      // Without storage (private modes) the queue still works; it only does not survive a reload.
    }
  }
}

// crypto.randomUUID exists only on https and localhost; this app is also served over plain http in laboratories.
function freshToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
