// Events that the server has not acknowledged yet. They survive a reload in sessionStorage and are sent again, the oldest
// first, with every message; the server leaves out what it has already committed (app/components/event_queue.py).

const RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;
const ANSWER_MS = 1_000; // after which nobody is thought to answer a message any more
const PAUSE_MS = 40; // strokes that follow faster are a burst
const BURST_MS = 500; // at most so long is a stroke held for those that follow
const MOST_SENT = 200; // events of a message: what piled up while the app was away goes in parts, each after the one before

// What waits, by place, and the queues whose component is on the page: the modules of all components share them.
const strokes = (globalThis.stillroomStrokes ??= { waiting: new Map(), connected: new Set() });

// A tab that is closed forgets what it keeps, so the browser asks first while anything waits, on any page.
addEventListener("beforeunload", (event) => {
  if ([...strokes.waiting.values()].some((entries) => entries.length)) event.preventDefault();
});

class EventQueue {
  constructor(kind, scope) {
    this.scope = scope;
    this.place = `stillroom/${kind}/${scope}`;
    this.token = freshToken();
    this.seq = 0;
    this.messages = 0;
    this.wait = RETRY_MS;
    this.sent = null; // what went out last, while nobody has answered it
    this.heldSince = null; // when what goes out next began to wait
    this.entries = this.load();
    strokes.waiting.set(this.place, [...this.entries]);
    this.due = this.length > 0;
  }

  get length() {
    return this.entries.length;
  }

  add(event) {
    const seq = this.seq++;
    this.entries.push({ token: this.token, seq, at: timeOf(this.token, seq), ...event });
    this.save();
    if (!this.awaitsAnswer()) this.sendSoon();
  }

  // One message at a time: another one would stop the run of the script that answers the last, and have it begin anew.
  awaitsAnswer() {
    return this.sent !== null && performance.now() - this.sentAt < ANSWER_MS;
  }

  // Strokes in a burst go out together: while the browser draws what answers one, the next would have to wait.
  sendSoon() {
    const now = performance.now();
    this.heldSince ??= now;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), Math.max(Math.min(PAUSE_MS, this.heldSince + BURST_MS - now), 0));
  }

  // What is held goes out now: whoever answers has something that is needed.
  hurry() {
    if (this.heldSince !== null) this.send();
  }

  // Everything that has not gone out yet does so: the card may be about to leave the page.
  flush() {
    if (this.hasUnsent(this.entries)) this.send();
  }

  hasUnsent(entries) {
    return entries.some((entry) => !this.sent?.has(entry));
  }

  // ``session`` names who answers, ``numbers`` the highest committed number by token, as app/components/inbox.py says them. A
  // session that was not there before, as after a restart of the app, has never heard what waits.
  acknowledge({ session, numbers }) {
    if (session !== this.session) {
      this.due = this.length > 0;
      this.sent = null;
    }
    this.session = session;
    const waiting = this.entries.filter((entry) => !(entry.seq <= numbers[entry.token]));
    if (waiting.length === this.entries.length) return;
    this.due ||= this.hasUnsent(waiting);
    this.sent = null;
    this.entries = waiting;
    this.wait = RETRY_MS;
    this.save();
    if (!waiting.length) clearTimeout(this.timer);
  }

  connect(setStateValue) {
    strokes.connected.add(this);
    this.setStateValue = setStateValue;
    if (!this.due || !this.length) return;
    this.wait = RETRY_MS;
    this.sendSoon();
  }

  // A message may be lost with its connection, so it is repeated, ever more rarely, until it is answered.
  send() {
    clearTimeout(this.timer);
    this.due = false;
    this.heldSince = null;
    this.messages += 1;
    const entries = this.entries.slice(0, MOST_SENT);
    this.sent = new Set(entries);
    this.sentAt = performance.now();
    this.setStateValue("events", { entries, message: `${this.token}/${this.messages}` });
    this.timer = setTimeout(() => this.length && this.send(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_RETRY_MS);
  }

  // The component has left the page; it may come back.
  rest() {
    strokes.connected.delete(this);
  }

  close() {
    this.rest();
    clearTimeout(this.timer);
  }

  load() {
    const here = strokes.waiting.get(this.place);
    if (here) return [...here];
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.place) ?? "[]");
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  }

  save() {
    strokes.waiting.set(this.place, [...this.entries]);
    try {
      if (this.entries.length) sessionStorage.setItem(this.place, JSON.stringify(this.entries));
      else sessionStorage.removeItem(this.place);
    } catch {
      // Without storage, or with a full one, the queue still works; it only does not survive a reload.
    }
  }
}

// crypto.randomUUID exists only on https and localhost; this app is also served over plain http in laboratories.
function freshToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The browser's clock, ISO 8601. The log knows a stroke again by its time, and a millisecond may see two, or come twice where
// a clock is set back; so three more digits follow, which tell apart a tab's strokes and mostly those of two tabs.
function timeOf(token, seq) {
  const digits = (Number.parseInt(token.slice(0, 6), 16) + seq) % 1000;
  return new Date().toISOString().replace("Z", `${String(digits).padStart(3, "0")}Z`);
}
