// One class of the label editor: its bar to drag, its number to type, the original beside both.

const SMALL_STEP = 0.01;
const LARGE_STEP = 0.05;

class EditorRow {
  // ``does``: set(value), settle(), lock(), remove(); a row that stands for many classes has no ``remove``.
  constructor(name, does) {
    this.does = does;
    this.name = name;
    this.root = node("div", "row");
    this.lock = iconButton("lock", `Hold ${name} where it is`, () => does.lock());
    this.label = node("span", "class", name);
    this.label.title = name;
    this.bar = this.makeBar();
    this.number = this.makeNumber();
    this.was = node("span", "was");
    this.remove = iconButton("remove", `Take ${name} out`, () => does.remove());
    this.remove.style.visibility = does.remove ? "" : "hidden";
    this.root.append(this.lock, this.label, this.bar, this.number, this.was, this.remove);
  }

  makeBar() {
    const bar = node("div", "bar");
    bar.tabIndex = 0;
    bar.setAttribute("role", "slider");
    bar.setAttribute("aria-label", this.name);
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    this.fill = node("span", "fill");
    this.ghost = node("span", "ghost");
    bar.append(this.fill, this.ghost);
    bar.addEventListener("pointerdown", (event) => this.grab(event));
    bar.addEventListener("pointermove", (event) => this.dragging && this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) bar.addEventListener(name, () => this.release());
    bar.addEventListener("keydown", (event) => this.onBarKey(event));
    bar.addEventListener("blur", () => this.does.settle());
    return bar;
  }

  makeNumber() {
    const number = node("input", "number");
    number.type = "text";
    number.inputMode = "decimal";
    number.autocomplete = "off";
    number.tabIndex = -1; // reached from the bar by typing a digit, so that Tab goes from bar to bar
    number.setAttribute("aria-label", `${this.name}, a number from 0 to 1`);
    number.addEventListener("focus", () => number.select());
    number.addEventListener("keydown", (event) => this.onNumberKey(event));
    number.addEventListener("blur", () => this.take());
    return number;
  }

  draw(value, original, locked) {
    this.value = value;
    this.fill.style.width = `${Math.min(value, 1) * 100}%`;
    this.ghost.style.width = original === null ? "0" : `${original * 100}%`;
    this.was.textContent = original === null ? "was –" : `was ${probabilityText(original)}`;
    this.was.title = original === null ? "It is among the other classes of the original." : `${original}`;
    if (!this.typing()) this.number.value = editorNumber(value);
    const before = original === null ? "" : `, originally ${percentText(original)}`;
    this.bar.setAttribute("aria-valuenow", String(Math.round(value * 1000) / 10));
    this.bar.setAttribute("aria-valuetext", `${percentText(value)}${before}${locked ? ", held" : ""}`);
    this.root.classList.toggle("locked", locked);
    this.lock.setAttribute("aria-pressed", String(locked));
  }

  typing() {
    return this.number.getRootNode().activeElement === this.number;
  }

  grab(event) {
    if (event.button !== 0) return;
    this.dragging = true;
    this.bar.setPointerCapture(event.pointerId);
    this.bar.focus({ preventScroll: true });
    event.preventDefault(); // no text is selected meanwhile
    this.drag(event);
  }

  drag(event) {
    const box = this.bar.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    this.does.set(Math.round(Math.min(Math.max(share, 0), 1) * 1000) / 1000);
  }

  release() {
    if (this.dragging) this.does.settle();
    this.dragging = false;
  }

  onBarKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = event.shiftKey ? LARGE_STEP : SMALL_STEP;
    const target = {
      ArrowRight: this.value + by,
      ArrowUp: this.value + by,
      ArrowLeft: this.value - by,
      ArrowDown: this.value - by,
      PageUp: this.value + LARGE_STEP,
      PageDown: this.value - LARGE_STEP,
      Home: 0,
      End: 1,
    }[event.key];
    if (target !== undefined) this.does.set(Math.min(Math.max(target, 0), 1));
    else if (event.key === "Delete" || event.key === "Backspace") this.does.remove?.();
    else if (event.key.toLowerCase() === "l") this.does.lock();
    else if (/^[0-9.]$/.test(event.key)) this.type(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  type(first) {
    this.number.focus();
    this.number.value = first;
    this.number.setSelectionRange(1, 1);
  }

  onNumberKey(event) {
    event.stopPropagation(); // what is typed is no command, neither here nor in Streamlit
    if (event.key === "Escape") this.number.value = editorNumber(this.value);
    else if (event.key !== "Enter") return;
    event.preventDefault();
    this.bar.focus();
  }

  take() {
    const typed = readNumber(this.number.value);
    if (typed !== null && this.number.value !== editorNumber(this.value)) this.does.set(typed);
    this.does.settle();
    this.number.value = editorNumber(this.value);
  }
}

// "0.35", "35%", "35" and ",35" are the same; null where it is none from 0 to 1.
function readNumber(text) {
  const trimmed = text.trim().replace(",", ".");
  if (!/^(\d+\.?\d*|\.\d+)\s*%?$/.test(trimmed)) return null;
  const value = Number.parseFloat(trimmed);
  const share = trimmed.endsWith("%") || value > 1 ? value / 100 : value;
  return share <= 1 ? share : null;
}

function editorNumber(value) {
  return value > 0 && value < 0.0005 ? "<0.001" : value.toFixed(3);
}

function percentText(value) {
  return `${(value * 100).toFixed(1)} %`;
}

function iconButton(className, title, act) {
  const made = node("button", `icon ${className}`);
  made.type = "button";
  made.tabIndex = -1; // L and Delete on the bar do the same
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", act);
  return made;
}
