// One card: what its keys and buttons do, and which image comes next.

const MOST_UNDONE = 200;
const MOST_ASKED = 3;
const FEW_AHEAD = 10; // images that a burst of keys looks at before the server has sent more

export default cardComponent(() => new DecisionCard());

class DecisionCard {
  constructor() {
    this.mode = "idle";
    this.stock = new Stock();
    this.asked = 0;
    this.view = new CardView({
      act: (action) => this.act(action),
      choose: (label) => (this.mode === "both" ? this.both(label) : this.relabel(label)),
      relabel: (label) => this.relabel(label),
      soften: (edit) => this.decide("soften", { soft: edit }),
      prune: (reason) => this.decide("prune", { reason }),
      cancel: () => this.enter("idle"),
    });
    this.root = this.view.root;
    this.onKeyUp = (event) => event.key?.toLowerCase() === "f" && this.view.picture.release();
    document.addEventListener("keyup", this.onKeyUp, true);
  }

  get showing() {
    return this.current?.id;
  }

  close() {
    document.removeEventListener("keyup", this.onKeyUp, true);
    this.view.close();
  }

  receive(data, setStateValue) {
    if (this.queue?.scope !== data.scope) this.begin(data.scope);
    if (this.data?.author !== data.author) this.history = []; // nobody undoes here what another has decided
    this.queue.acknowledge(data.acknowledged);
    this.queue.connect((name, value) => setStateValue(name, { ...value, held: this.stock.keys() }));
    if (!this.unpack(data)) return;
    this.restored = this.restored.map((item) => this.data.items.find((one) => one.id === item.id) ?? item);
    this.reopen(data.reopened);
    this.showNext();
  }

  // Keys become values. What is not here is asked for: items that lack something wait, whatever the others do.
  unpack(data) {
    this.stock.missing.clear();
    this.stock.take(data.shipped);
    const class_names = this.stock.get(data.class_names);
    const items = data.items.map((item) => this.stock.item(item)).filter(Boolean);
    this.stock.forgetOldest();
    this.asked = this.stock.missing.size ? this.asked + 1 : 0;
    if (this.asked && this.asked <= MOST_ASKED) this.queue.send();
    if (class_names) this.data = { ...data, class_names, items, names_key: data.class_names };
    return Boolean(class_names);
  }

  begin(scope) {
    this.queue?.close();
    this.queue = new DecisionQueue(scope);
    this.current = null;
    this.history = [];
    this.restored = []; // undone or reopened, to be decided before anything else; the last one first
    this.turn = null; // the number of the latest reopening, and its sample
    this.reopened = null;
    this.extra = null; // in the queue only because it was reopened
    this.left = null; // reopened, and left as it was
    this.mode = "idle";
  }

  // The same sample may be asked for again after it was left.
  reopen(asked) {
    this.extra = asked?.waiting === false ? asked.sample : null;
    const turn = asked?.turn ?? null;
    if (turn === this.turn) return;
    const item = this.data.items.find((one) => one.id === asked?.sample);
    if (asked && !item) return; // it comes with a later message
    this.turn = turn;
    this.reopened = asked?.sample ?? null;
    this.left = null;
    if (!item) return;
    this.restored = [...this.restored.filter((one) => one.id !== item.id), item];
    this.root.scrollIntoView({ block: "nearest" }); // it was asked for further down
  }

  showNext() {
    const decided = this.queue.decided();
    const upcoming = this.upcoming(decided);
    const stay = upcoming.find((item) => item.id === this.current?.id);
    const next = this.restored.at(-1) ?? stay ?? upcoming[0] ?? null;
    if (next?.id !== this.current?.id) {
      this.shownAt = performance.now();
      this.mode = "idle";
    }
    this.current = next;
    const following = upcoming.filter((item) => item.id !== next?.id);
    this.view.draw(this.data, next, following, this.remaining(decided));
    this.enter(this.mode);
    this.view.foot.drawStatus(this.queue.length, this.data.trouble);
    if (following.length < FEW_AHEAD) this.queue.hurry();
  }

  // What was left is no longer asked, or last, where the queue holds it anyway.
  upcoming(decided) {
    const waiting = this.data.items.filter((item) => !decided.has(item.id));
    const last = waiting.filter((item) => item.id === this.left && item.id !== this.extra);
    return [...waiting.filter((item) => item.id !== this.left), ...last];
  }

  remaining(decided) {
    const gone = (id) => decided.has(id) || (id === this.left && id === this.extra);
    return Math.max(this.data.remaining - this.data.items.filter((item) => gone(item.id)).length, 0);
  }

  enter(mode, typed = "") {
    this.mode = mode;
    this.view.enter(mode, this.current, this.history.length > 0, this.data.class_names, typed);
  }

  toggle(mode) {
    this.enter(this.mode === mode ? "idle" : mode);
  }

  act(action) {
    if (action === "help") this.toggle("help");
    else if (action === "undo") this.undo();
    else if (action === "scaling") this.view.picture.toggleScaling();
    else if (action === "flip") this.view.picture.toggleFlip();
    else if (this.current && !isOff(this.current, action)) this.actOn(action);
  }

  actOn(action) {
    if (action === "keep") this.keep();
    else if (action === "accept") this.accept();
    else if (action === "both") this.both(this.current.suggestion?.label ?? null);
    else if (action === "relabel" || action === "prune" || action === "edit") this.toggle(action);
    else this.decide(action, {});
  }

  // What stands is kept; only where that is the given label is it a keep, which would bring the given one back.
  keep() {
    this.relabel(this.current.label ?? this.current.given);
  }

  accept() {
    const { action, label, reason } = this.current.suggestion;
    if (action === "relabel") this.relabel(label);
    else this.decide("prune", { reason });
  }

  // The label that stands and another one fit equally well.
  both(other) {
    const standing = this.current.label ?? this.current.given;
    if (other === null || other === standing) this.enter("both");
    else this.decide("soften", { reason: "ambiguous", soft: { set: [[standing, 0.5], [other, 0.5]], base: null } });
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
    this.history = [...this.history, item].slice(-MOST_UNDONE);
    this.send(action, item, { seconds, ...extra });
    this.mode = "idle";
    this.showNext();
  }

  undo() {
    const item = this.history.pop();
    if (!item) return;
    this.restored.push(item);
    this.send("undo", item, {});
    this.showNext();
  }

  // With what it was asked under: the server may show something else by the time that it arrives.
  send(action, item, extra) {
    const { author, finding } = this.data;
    this.queue.add({ action, sample_id: item.id, author, finding, ...extra });
  }

  // A reopened image is left as it was decided.
  leave() {
    if (this.restored.at(-1)?.id !== this.reopened) return false;
    this.left = this.restored.pop().id;
    this.current = null;
    this.showNext();
    return true;
  }

  knows(key) {
    return this.mode !== "idle" || isCardKey(key);
  }

  takeKey(key) {
    if (this.mode === "edit") return this.view.editor.handleKey(key);
    if (key === "Escape") return this.mode === "idle" ? this.leave() : this.cancel();
    if (this.mode === "help") return key === "?" ? this.cancel() : isCardKey(key);
    if (this.mode === "prune" && this.takeReason(key)) return true;
    if (/^[0-9]$/.test(key) && this.mode === "idle") return this.takeDigit(key);
    const action = KEYS[key.toLowerCase()];
    if (action) this.act(action);
    return Boolean(action);
  }

  cancel() {
    this.enter("idle");
    return true;
  }

  takeReason(key) {
    const reason = this.data.reasons[Number(key) - 1];
    if (key !== "Enter" && !reason) return false;
    this.decide("prune", reason ? { reason } : {});
    return true;
  }

  // A class at once; where a digit is only the beginning of a number, the search goes on with it.
  takeDigit(key) {
    if (this.data.class_names.length <= DIGIT_CLASSES) this.relabel(Number(key));
    else if (this.current) this.enter("relabel", key);
    return true;
  }
}
