// One soft label while it is edited, and the steps that led to it; it draws nothing.

const REST = "rest"; // names the classes that have no row of their own

class EditedLabel {
  constructor(data) {
    this.data = data;
    this.classes = [...data.classes];
    this.unknown = new Set(); // classes added since: what the sources give them is within their rest
    this.locked = new Set();
    this.original = mass.renormalise(data.original.p);
    this.sources = data.sources.map((source) => ({ ...source, p: mass.renormalise(source.p) }));
    this.now = { p: mass.renormalise(data.start.p), base: data.start.base };
    this.start = this.now;
    this.history = [];
    this.live = null;
    this.shown = this.mostProbable(data.shown);
  }

  get p() {
    return this.now.p;
  }

  get others() {
    return this.data.num_classes - this.classes.length;
  }

  mostProbable(count) {
    const places = this.classes.map((_, i) => i);
    const own = (i) => Math.max(this.p[i], this.original[i]);
    const anywhere = (i) => Math.max(own(i), ...this.sources.map((source) => source.p[i]));
    const wanted = (i) => (this.classes[i] === this.data.given ? 2 : Math.max(own(i), anywhere(i) / 2));
    const first = places.sort((a, b) => wanted(b) - wanted(a)).slice(0, count);
    return first.sort((a, b) => own(b) - own(a) || anywhere(b) - anywhere(a));
  }

  // The places in p of a row, by its name: a place, or REST.
  members(name) {
    if (name !== REST) return [Number(name)];
    const all = this.p.map((_, i) => i).filter((i) => !this.shown.includes(i));
    return this.holds(this.now) ? all : all.filter((i) => i !== this.p.length - 1);
  }

  value(name, p = this.p) {
    return mass.sum(this.members(name).map((i) => p[i]));
  }

  was(name) {
    return name !== REST && this.unknown.has(Number(name)) ? null : this.value(name, this.original);
  }

  // Whether the classes that are not listed can have mass: only in proportions that their base tells.
  holds(label) {
    return this.others > 0 && mass.rest(this.shape(label.base)?.p ?? [0]) > 0;
  }

  shape(base) {
    if (base === null) return undefined;
    if (base === this.data.start.base) return { ...this.data.start, p: this.start.p };
    return this.sources.find((source) => source.base === base);
  }

  held() {
    return new Set([...this.locked].flatMap((name) => this.members(name)));
  }

  fixed() {
    const fixed = this.held();
    if (!this.holds(this.now)) fixed.add(this.p.length - 1);
    return fixed;
  }

  // Steps of one tool in a row are one step, worked out anew from where the first began.
  step(tool, make) {
    if (this.live?.tool !== tool) {
      this.history.push({ label: this.now, shown: this.shown });
      this.live = { tool, from: this.now };
    }
    this.now = { ...this.live.from, ...make(this.live.from) };
  }

  settle() {
    if (this.live && this.live.from.p.every((value, i) => value === this.p[i])) this.history.pop();
    this.live = null;
  }

  undo() {
    this.live = null;
    const before = this.history.pop();
    if (!before) return;
    this.now = before.label;
    this.shown = before.shown;
  }

  set(name, value, makeRoom) {
    const members = this.members(name);
    const change = makeRoom ? (p) => mass.set(p, members, value, this.fixed()) : (p) => mass.put(p, members, value);
    this.step(`set ${name}`, (from) => ({ p: change(from.p) }));
  }

  move(a, b, share) {
    if (this.locked.has(a) || this.locked.has(b)) return;
    this.step(`move ${a} ${b}`, (from) => ({ p: mass.move(from.p, a, b, share * from.p[a]) }));
  }

  moved() {
    const [tool, a] = this.live?.tool.split(" ") ?? [];
    return tool === "move" ? this.live.from.p[a] - this.p[a] : 0;
  }

  mix(which, weight) {
    this.step("mix", (from) => {
      const { p, base } = this.mixable(which);
      const usesOther = base !== null && weight * mass.rest(p) > (1 - weight) * mass.rest(from.p);
      const next = { p: mass.mix(from.p, p, weight), base: usesOther ? base : from.base };
      if (!this.holds(next)) next.p = mass.renormalise([...next.p.slice(0, -1), 0]);
      return { ...next, p: mass.hold(next.p, from.p, this.held()) };
    });
    this.showLarge();
  }

  // A source, "uniform", or a place in p.
  mixable(which) {
    const source = this.sources.find((one) => one.base === which);
    if (source) return { p: source.p, base: source.base };
    const last = this.p.length - 1;
    if (which !== "uniform") return { p: this.p.map((_, i) => Number(i === Number(which))), base: null };
    const counts = this.p.map((_, i) => (i < last ? 1 : this.holds(this.now) ? this.others : 0));
    return { p: mass.renormalise(counts), base: null };
  }

  temper(temperature) {
    this.step("temper", (from) => ({
      p: mass.hold(mass.sharpen(from.p, temperature, this.others), from.p, this.held()),
    }));
  }

  renormalise() {
    this.settle();
    this.step("renormalise", (from) => ({ p: mass.renormalise(from.p) }));
    this.settle();
  }

  reset() {
    this.settle();
    this.step("reset", () => ({ p: this.original, base: this.data.original.base }));
    this.settle();
  }

  // Gives a class a row; returns its place. One that was not listed begins with nothing.
  show(id) {
    this.settle();
    let place = this.classes.indexOf(id);
    if (place < 0) place = this.list(id);
    if (!this.shown.includes(place)) this.shown = [...this.shown, place];
    return place;
  }

  list(id) {
    const widened = (p) => [...p.slice(0, -1), 0, mass.rest(p)];
    const both = (label) => ({ ...label, p: widened(label.p) });
    this.classes.push(id);
    const place = this.classes.length - 1;
    this.unknown.add(place);
    [this.now, this.start] = [both(this.now), both(this.start)];
    this.original = widened(this.original);
    this.sources = this.sources.map(both);
    this.history = this.history.map((entry) => ({ ...entry, label: both(entry.label) }));
    return place;
  }

  hide(place) {
    this.settle();
    if (this.p[place] > 0) this.set(place, 0, true);
    this.settle();
    this.locked.delete(String(place));
    if (this.p[place] === 0) this.shown = this.shown.filter((one) => one !== place);
  }

  // A source may bring in classes that have no row yet.
  showLarge(least = 0.01, most = 20) {
    const large = this.p.slice(0, -1).map((value, i) => ({ value, i }));
    const missing = large.filter(({ value, i }) => value >= least && !this.shown.includes(i));
    missing.sort((a, b) => b.value - a.value);
    this.shown = [...this.shown, ...missing.slice(0, Math.max(most - this.shown.length, 0)).map(({ i }) => i)];
  }

  facts() {
    const entropyOf = (p, base) => mass.entropy(p, this.shape(base)?.restEntropy ?? 0);
    return {
      sum: mass.sum(this.p),
      before: mass.entropy(this.original, this.data.original.restEntropy),
      after: entropyOf(mass.renormalise(this.p), this.now.base),
      changed: mass.distance(mass.renormalise(this.p), this.original),
    };
  }

  get balanced() {
    return Math.abs(mass.sum(this.p) - 1) < 1e-6;
  }

  get changed() {
    return this.now.base !== this.start.base || this.p.some((value, i) => Math.abs(value - this.start.p[i]) > 1e-9);
  }

  // What the server applies: analysis/label_edits.py::apply_edit.
  edit() {
    const p = mass.renormalise(this.p);
    return { set: this.classes.map((id, i) => [id, p[i]]), base: this.now.base };
  }
}
