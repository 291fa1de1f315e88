// What the card looks like; it decides nothing.

const STRIP = 8;
const STRIP_MS = 80;

class CardView {
  constructor(does) {
    this.does = does;
    this.root = node("section", "card");
    this.root.setAttribute("aria-label", "Decide about one image");
    this.search = new ClassSearch(does.choose, does.cancel);
    this.editor = new LabelEditor({ save: does.soften, cancel: does.cancel });
    this.help = new KeyHelp(does.cancel);
    this.picture = new PictureView();
    this.words = node("div", "words");
    this.bars = node("div", "labels");
    this.bars.tabIndex = 0;
    this.bars.setAttribute("role", "group");
    this.bars.setAttribute("aria-label", "Soft labels of every source");
    this.bars.addEventListener("scroll", () => (this.scrolled = true));
    this.nearest = node("div", "nearest");
    this.buttons = this.makeButtons();
    this.reasons = node("div", "reasons");
    this.reasons.setAttribute("role", "group");
    this.reasons.setAttribute("aria-label", "Why it is pruned");
    this.classes = node("div", "classes");
    this.foot = new CardFoot();
    this.empty = node("p", "empty");
    this.body = this.makeBody();
    this.root.append(this.body, this.empty, this.foot.root);
    calmButtons(this.root);
  }

  makeBody() {
    const what = node("div", "what");
    const column = node("div", "column");
    column.append(this.words, this.bars, this.editor.root, this.nearest);
    what.append(column);
    const shown = node("div", "shown");
    shown.append(this.picture.root, what);
    const body = node("div", "body");
    // Below the picture, whose size is fixed, so that a button stays where it is from one image to the next.
    body.append(shown, this.buttons, this.classes, this.reasons, this.search.root, this.help.root);
    return body;
  }

  close() {
    clearTimeout(this.later);
    this.foot.close();
    this.root.remove();
  }

  makeButtons() {
    const row = node("div", "buttons");
    row.dataset.row = "card"; // the editor has buttons of its own
    this.button = {};
    for (const [action, key, text] of [...BUTTONS, ["help", "?", ""]]) {
      const made = keyButton(key, text);
      made.addEventListener("click", () => this.does.act(action));
      made.dataset.action = action;
      this.button[action] = made;
      row.append(made);
    }
    this.button.help.setAttribute("aria-label", "Show the keys");
    return row;
  }

  draw(data, item, following, remaining) {
    this.body.hidden = !item;
    this.empty.hidden = Boolean(item);
    this.empty.textContent = data.remaining > 0 ? "Loading the next images…" : data.empty;
    this.root.dataset.sample = item?.id ?? "";
    if (item) this.drawItem(data, item);
    this.foot.draw(remaining);
    clearTimeout(this.later); // the small ones below may come later than the large one, and once after a burst
    this.later = setTimeout(() => this.drawStrip(following), STRIP_MS);
  }

  drawItem(data, item) {
    const drawn = `${item.signature} ${data.names_key}`;
    if (this.drawn === drawn) return;
    this.drawn = drawn;
    const names = data.class_names;
    this.root.classList.toggle("imageless", !item.picture); // a set of labels only
    this.picture.draw(item);
    this.words.replaceChildren(...describeItem(item, names));
    this.bars.replaceChildren(...(item.bars?.rows.length ? [barsTable(item.bars)] : []));
    this.bars.hidden = !item.bars?.rows.length; // also after an edit: what is hidden cannot be scrolled back to its top
    if (this.scrolled) this.bars.scrollTop = 0; // it makes the browser lay the page out, so not for every image
    this.scrolled = false;
    this.nearest.replaceChildren(...item.near.map((one) => candidateColumn(one, names)));
    this.drawRows(names, data.reasons, item.given);
    this.drawTexts(item, names);
  }

  drawTexts(item, names) {
    const target = suggestionText(item.suggestion, names);
    const keeps = item.softened ? "Back to" : "Keep"; // a softened label is not the one that K leaves
    setText(this.button.keep, item.given === null ? "Keep" : `${keeps} ${names[item.label ?? item.given]}`);
    setText(this.button.accept, target ? `Accept: ${target}` : "Accept");
    for (const action of BLIND_OFF) {
      const off = item.given === null;
      this.button[action].title = off ? WHY_BLIND : this.button[action].querySelector(".text").textContent;
    }
  }

  drawStrip(following) {
    const pictures = following.slice(0, STRIP).flatMap((one) => (one.picture ? [one.picture.cloneNode()] : []));
    for (const picture of pictures) picture.alt = "";
    this.foot.drawStrip(pictures);
  }

  // Most images have the rows of the one before.
  drawRows(names, reasons, given) {
    if (this.names !== names) this.drawClasses(names);
    this.names = names;
    if (!this.reasons.firstChild) this.drawReasons(reasons);
    [...this.classes.children].forEach((button, id) => button.classList.toggle("given", id === given));
  }

  drawClasses(names) {
    const few = names.length <= DIGIT_CLASSES ? names : [];
    this.classes.replaceChildren(
      ...few.map((name, id) => {
        const made = keyButton(String(id), name);
        made.addEventListener("click", () => this.does.relabel(id));
        return made;
      }),
    );
  }

  drawReasons(reasons) {
    const made = reasons.map((reason, i) => {
      const button = keyButton(String(i + 1), reason);
      button.addEventListener("click", () => this.does.prune(reason));
      return button;
    });
    const none = keyButton("Enter", "no reason");
    none.addEventListener("click", () => this.does.prune(undefined));
    this.reasons.replaceChildren(node("span", "ask", "Prune, because"), ...made, none);
  }

  // One row at a time below the buttons: its digits then mean what it shows. ``typed`` is for the search.
  enter(mode, item, undoable, classNames, typed) {
    const before = this.mode;
    this.mode = mode;
    const searching = mode === "relabel" || mode === "both";
    this.classes.hidden = mode !== "idle" && mode !== "help";
    this.reasons.hidden = mode !== "prune";
    this.root.classList.toggle("editing", mode === "edit");
    this.editor.root.hidden = mode !== "edit";
    this.bars.hidden = mode === "edit" || !this.bars.firstChild;
    this.help.root.hidden = mode !== "help";
    this.search.root.hidden = !searching;
    this.drawButtons(mode, item, undoable);
    if (mode === before) return;
    this.leaveHidden();
    if (mode === "help") this.help.open();
    if (mode === "edit") this.editor.open(item.soft, classNames);
    if (searching) this.search.open(classNames, typed, mode === "both" ? "The other class that fits" : CLASS_HINT);
  }

  // A field that is hidden keeps the focus until the next frame, and would take the keys of a burst.
  leaveHidden() {
    const focused = this.root.getRootNode().activeElement;
    if (this.root.contains(focused) && !focused.checkVisibility()) focused.blur();
  }

  drawButtons(mode, item, undoable) {
    for (const action of ["prune", "relabel", "both", "help"]) {
      this.button[action].setAttribute("aria-expanded", String(mode === action));
    }
    for (const action of BLIND_OFF) this.button[action].disabled = !item || isOff(item, action);
    this.button.prune.hidden = Boolean(item?.pruned); // one of the two, in the same place
    this.button.restore.hidden = !item?.pruned;
    this.button.undo.disabled = !undoable;
  }
}
