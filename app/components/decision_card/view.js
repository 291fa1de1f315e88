// What the card looks like; it decides nothing.

class CardView {
  constructor(parent, does) {
    this.does = does;
    this.root = node("section", "card");
    this.root.setAttribute("aria-label", "Decide about one image");
    this.search = new ClassSearch(does.relabel, does.cancel);
    this.picture = node("div", "picture");
    this.what = node("div", "what");
    this.buttons = this.makeButtons();
    this.reasons = node("div", "reasons");
    this.reasons.setAttribute("role", "group");
    this.classes = node("div", "classes");
    this.help = node("p", "help", HELP);
    this.help.hidden = true;
    this.strip = node("div", "strip");
    this.left = node("span", "left");
    this.status = node("span", "saved");
    this.status.setAttribute("role", "status");
    const shown = node("div", "shown");
    shown.append(this.picture, this.what);
    // Below the picture, whose size is fixed, so that a button stays where it is from one image to the next.
    this.body = node("div", "body");
    this.body.append(shown, this.buttons, this.classes, this.reasons, this.search.root, this.help);
    const bar = node("div", "foot");
    this.asleep = node("span", "asleep", "keys pause while a field is in use: click anywhere else");
    bar.append(this.left, this.strip, this.asleep, this.status);
    this.empty = node("p", "empty");
    this.root.append(this.body, this.empty, bar);
    parent.append(this.root);
    this.onFocus = () => setTimeout(() => this.drawAsleep());
    for (const name of ["focusin", "focusout"]) document.addEventListener(name, this.onFocus);
    this.drawAsleep();
  }

  close() {
    for (const name of ["focusin", "focusout"]) document.removeEventListener(name, this.onFocus);
    clearTimeout(this.slow);
    this.root.remove();
  }

  // Keys count only while the card is to be seen, no dialog covers it, and nobody is typing somewhere.
  listens(event) {
    if (!this.root.isConnected || !this.root.checkVisibility()) return false;
    if (document.querySelector('[role="dialog"]')) return false;
    return !event.composedPath().some((one) => one instanceof HTMLElement && takesText(one));
  }

  // After a choice in a field outside, the field keeps the focus, and keys would silently do nothing.
  drawAsleep() {
    this.asleep.hidden = !takesText(document.activeElement ?? document.body);
  }

  makeButtons() {
    const row = node("div", "buttons");
    this.button = {};
    for (const [action, key, text] of BUTTONS) {
      const made = keyButton(key, text);
      made.addEventListener("click", () => this.does.act(action));
      made.dataset.action = action;
      this.button[action] = made;
      row.append(made);
    }
    const help = keyButton("?", "");
    help.setAttribute("aria-label", "Show the keys");
    help.addEventListener("click", () => this.toggleHelp());
    row.append(help);
    return row;
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
  }

  draw(data, item, following, remaining) {
    this.body.hidden = !item;
    this.empty.hidden = Boolean(item);
    this.empty.textContent = data.remaining > 0 ? "Loading the next images…" : data.empty;
    this.left.textContent = remaining === 1 ? "1 left" : `${remaining.toLocaleString("en")} left`;
    this.strip.replaceChildren(...following.filter((one) => one.image).map((one) => image(one, "")));
    this.root.dataset.sample = item?.id ?? "";
    if (!item) return;
    this.root.classList.toggle("imageless", !item.image); // a set of labels only
    if (item.image) this.picture.replaceChildren(image(item, `sample ${item.id}`));
    this.what.replaceChildren(...describeItem(item, data.class_names));
    this.drawClasses(data.class_names, item);
    this.drawReasons(data.reasons);
    const target = suggestionText(item.suggestion, data.class_names);
    setText(this.button.keep, `Keep ${data.class_names[item.label ?? item.given]}`);
    setText(this.button.accept, target ? `Accept: ${target}` : "Accept");
  }

  drawClasses(names, item) {
    const few = names.length <= DIGIT_CLASSES ? names : [];
    this.classes.replaceChildren(
      ...few.map((name, id) => {
        const made = keyButton(String(id), name);
        made.classList.toggle("given", id === item.given);
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

  // One row at a time below the buttons: its digits then mean what it shows.
  enter(mode, item, undoable, classNames) {
    this.classes.hidden = mode !== "idle";
    this.reasons.hidden = mode !== "prune";
    this.button.prune.setAttribute("aria-expanded", String(mode === "prune"));
    this.button.relabel.setAttribute("aria-expanded", String(mode === "relabel"));
    this.button.accept.disabled = !item?.suggestion;
    this.button.restore.hidden = !item?.pruned;
    this.button.undo.disabled = !undoable;
    const opening = mode === "relabel" && this.search.root.hidden !== false;
    this.search.root.hidden = mode !== "relabel";
    if (opening) this.search.open(classNames);
  }

  drawStatus(waiting, trouble) {
    clearTimeout(this.slow);
    this.status.className = trouble ? "saved trouble" : waiting ? "saved waiting" : "saved";
    const some = `${waiting} waiting to be saved`;
    this.status.textContent = trouble && waiting ? `${some}: ${trouble}` : waiting ? some : "all saved";
    if (!waiting || trouble) return;
    this.slow = setTimeout(() => {
      this.status.textContent = `${some}: the app does not answer; they are kept in this tab`;
    }, SLOW_MS);
  }
}

function describeItem(item, names) {
  const title = node("div", "title");
  title.append(node("span", "label", names[item.label ?? item.given]), node("span", "id", `sample ${item.id}`));
  const parts = [title];
  if (item.label !== null && item.label !== item.given) parts.push(note("Given", names[item.given]));
  if (item.pruned) parts.push(node("div", "pruned", "pruned"));
  const target = suggestionText(item.suggestion, names);
  if (target) {
    const box = node("div", "suggestion");
    box.append(node("span", "lead", "Suggested"), node("span", "target", target));
    if (item.suggestion.evidence) box.append(node("p", "evidence", item.suggestion.evidence));
    parts.push(box);
  }
  if (item.note) parts.push(node("p", "evidence", item.note));
  if (item.bars?.rows.length) parts.push(barsTable(item.bars));
  return parts;
}

function note(lead, text) {
  const made = node("div", "note");
  made.append(node("span", "lead", lead), text);
  return made;
}

function suggestionText(suggestion, names) {
  if (!suggestion) return "";
  if (suggestion.action === "relabel") return names[suggestion.label];
  return suggestion.reason ? `prune, ${suggestion.reason}` : "prune";
}

function image(item, alt) {
  const made = node("img");
  made.src = item.image;
  made.alt = alt;
  made.draggable = false;
  return made;
}

function keyButton(key, text) {
  const made = node("button", "key");
  made.type = "button";
  made.append(node("kbd", "", key), node("span", "text", text));
  return made;
}

function setText(button, text) {
  button.querySelector(".text").textContent = text;
}

function takesText(one) {
  if (isClosedMenu(one)) return false;
  if (one.isContentEditable || one.tagName === "TEXTAREA" || one.tagName === "SELECT") return true;
  return one.tagName === "INPUT" && !["button", "checkbox", "radio", "range", "submit"].includes(one.type);
}

// Streamlit's menus keep the focus after a choice, and a closed one would take the next key for a search.
function isClosedMenu(one) {
  if (!one.closest('[data-testid="stSelectbox"], [data-testid="stMultiSelect"]')) return false;
  return one.getAttribute("role") === "combobox" && one.getAttribute("aria-expanded") !== "true";
}
