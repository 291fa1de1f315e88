// One soft label to be edited: bars, tools, keys. Whoever shows it decides what becomes of the edit.

const EDITOR_KEYS = { m: "move", i: "mix", t: "temper", n: "renormalise", o: "reset", a: "add", "/": "add", z: "undo" };
const EDITOR_HELP =
  "Drag a bar, or ←/→ on it (Shift: 5 %). A digit types a number, L holds it, Delete takes it out. Thin: the original.";

class LabelEditor {
  // ``does``: save(edit), cancel()
  constructor(does) {
    this.does = does;
    this.rows = new Map();
    this.root = node("div", "label-editor");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Edit the soft label");
    this.facts = node("div", "facts");
    this.facts.setAttribute("role", "status");
    this.note = node("p", "hint");
    this.list = node("div", "rows");
    this.search = new ClassSearch(
      (id) => this.add(id),
      () => this.closeSearch(),
    );
    this.search.input.setAttribute("aria-label", "Add a class");
    this.tools = new EditorTools({
      move: (a, b, share) => a !== b && this.change(() => this.label.move(a, b, share)),
      mix: (which, weight) => this.change(() => this.label.mix(which, weight)),
      temper: (temperature) => this.change(() => this.label.temper(temperature)),
      settle: () => this.settle(),
    });
    this.root.append(this.facts, this.note, this.list, this.makeAdding(), this.tools.root, this.makeButtons());
    this.root.append(node("p", "hint", EDITOR_HELP));
    this.root.addEventListener("keydown", (event) => this.onKey(event));
  }

  makeAdding() {
    const row = node("div", "adding");
    this.adding = keyButton("A", "Add a class…");
    this.adding.addEventListener("click", () => this.act("add"));
    this.room = node("input");
    this.room.type = "checkbox";
    this.room.checked = true;
    this.room.addEventListener("change", () => this.settle());
    const label = node("label", "room");
    label.append(this.room, "the other classes make room");
    row.append(this.adding, this.search.root, label);
    return row;
  }

  makeButtons() {
    const row = node("div", "buttons");
    this.button = {};
    const wanted = [
      ["save", "Enter", "Save"],
      ["cancel", "Esc", "Cancel"],
      ["undo", "Z", "Undo step"],
      ["renormalise", "N", "Renormalise"],
      ["reset", "O", "Original"],
    ];
    for (const [action, key, text] of wanted) {
      const made = keyButton(key, text);
      made.addEventListener("click", () => this.act(action));
      this.button[action] = made;
      row.append(made);
    }
    return row;
  }

  // ``data`` is what app/components/label_editor::editor_data gives.
  open(data, classNames) {
    this.classNames = classNames;
    this.label = new EditedLabel(data);
    this.note.textContent = data.note;
    this.note.hidden = !data.note;
    this.search.root.hidden = true;
    this.room.checked = true;
    this.rows.clear();
    this.drawRows();
    this.root.querySelector(".bar")?.focus({ preventScroll: true });
  }

  get untouched() {
    return !this.label.history.length;
  }

  // Whether the key meant anything here. Arrows and digits are the focused bar's own.
  handleKey(key) {
    const active = this.root.getRootNode().activeElement;
    const inside = active !== null && this.root.contains(active);
    if (key === "Escape") return this.escape();
    if (inside && active.tagName === "SELECT") return false; // letters choose in it
    if (key === "Enter") return !(inside && active.tagName === "BUTTON") && this.act("save");
    const action = EDITOR_KEYS[key.toLowerCase()];
    return action ? this.act(action) : false;
  }

  escape() {
    if (this.search.root.hidden) this.does.cancel();
    else this.closeSearch();
    return true;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (this.handleKey(event.key)) event.preventDefault();
    event.stopPropagation(); // Streamlit has single letters of its own
  }

  act(action) {
    if (["move", "mix", "temper"].includes(action)) this.tools.focus(action);
    else if (action === "add") this.openSearch();
    else if (action === "cancel") this.does.cancel();
    else if (action === "save") this.save();
    else if (action === "undo") this.undo();
    else this.change(() => this.label[action]());
    return true;
  }

  save() {
    this.settle();
    if (this.label.changed && this.label.balanced) this.does.save(this.label.edit());
  }

  undo() {
    this.label.undo();
    this.drawRows();
  }

  change(make) {
    make();
    this.drawRows();
  }

  settle() {
    this.label?.settle();
    this.draw();
  }

  openSearch() {
    this.search.root.hidden = false;
    this.search.open(this.classNames);
  }

  closeSearch() {
    this.search.root.hidden = true;
    this.adding.focus();
  }

  add(id) {
    this.search.root.hidden = true;
    const place = this.label.show(id);
    this.drawRows();
    this.rows.get(String(place)).bar.focus();
  }

  hide(place) {
    const before = this.label.shown.indexOf(place);
    this.change(() => this.label.hide(place));
    const near = this.label.shown[Math.max(before - 1, 0)];
    this.rows.get(String(near))?.bar.focus();
  }

  lock(name) {
    const { locked } = this.label;
    if (!locked.delete(name)) locked.add(name);
    this.settle();
  }

  // Rows stay the same elements while they are dragged.
  drawRows() {
    const names = [...this.label.shown.map(String), ...(this.folded() ? [REST] : [])];
    const wanted = names.map((name) => this.rows.get(name) ?? this.makeRow(name));
    this.rows = new Map(names.map((name, i) => [name, wanted[i]]));
    const roots = wanted.map((row) => row.root);
    if (roots.length !== this.list.children.length || roots.some((root, i) => root !== this.list.children[i])) {
      this.replaceRows(roots);
      this.offer();
    }
    this.draw();
  }

  replaceRows(roots) {
    const focused = this.root.getRootNode().activeElement;
    const hadFocus = this.list.contains(focused);
    this.list.replaceChildren(...roots);
    if (hadFocus) (this.list.contains(focused) ? focused : this.list.querySelector(".bar"))?.focus({ preventScroll: true });
  }

  folded() {
    return this.label.data.num_classes - this.label.shown.length;
  }

  makeRow(name) {
    const isRest = name === REST;
    const id = isRest ? null : this.label.classes[Number(name)];
    const row = new EditorRow(isRest ? "other classes" : this.classNames[id], {
      set: (value) => this.change(() => this.label.set(name, value, this.room.checked)),
      settle: () => this.settle(),
      lock: () => this.lock(name),
      remove: isRest ? undefined : () => this.hide(Number(name)),
    });
    row.root.classList.toggle("given", !isRest && id === this.label.data.given);
    row.root.classList.toggle("others", isRest);
    return row;
  }

  offer() {
    const { label } = this;
    const rows = label.shown.map((i) => [String(i), this.classNames[label.classes[i]]]);
    const sources = label.sources.map((source) => [source.base, source.title]);
    const alone = rows.map(([i, name]) => [i, `only ${name}`]);
    const ordered = [...label.shown].sort((a, b) => label.p[b] - label.p[a]);
    const [from, to] = [this.tools.from.value || String(ordered[0]), this.tools.to.value || String(ordered[1])];
    this.tools.offer(rows, [...sources, ["uniform", "uniform"], ...alone], from, to);
  }

  draw() {
    const { label } = this;
    for (const [name, row] of this.rows) row.draw(label.value(name), label.was(name), label.locked.has(name));
    const rest = this.rows.get(REST);
    const count = this.folded();
    if (rest) rest.label.textContent = count === 1 ? "1 other class" : `${count.toLocaleString("en")} other classes`;
    this.tools.draw(label.live?.tool.split(" ")[0], label.moved());
    this.drawFacts();
    this.button.save.disabled = !label.changed || !label.balanced;
    this.button.undo.disabled = !label.history.length;
    this.button.renormalise.disabled = label.balanced;
  }

  drawFacts() {
    const { sum, before, after, changed } = this.label.facts();
    const said = [
      `sum ${sum.toFixed(3)}`,
      `entropy ${before.toFixed(2)} → ${after.toFixed(2)} nats`,
      `changed by ${changed.toFixed(3)}`,
    ];
    if (!this.label.balanced) said.push("renormalise before saving");
    this.facts.replaceChildren(...said.map((text) => node("span", "", text)));
    this.facts.classList.toggle("unbalanced", !this.label.balanced);
    this.facts.title = "Changed by: the share of the mass that lies elsewhere than in the original (total variation distance).";
  }
}
