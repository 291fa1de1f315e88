// A box that finds a class by the first letters of its name, of any word in it, by any part of it, or by its number.

const MOST_FOUND = 6;
const CLASS_HINT = "Class name or number";
let searchBoxes = 0;

class ClassSearch {
  constructor(choose, cancel) {
    this.choose = choose;
    this.cancel = cancel;
    this.root = node("div", "search");
    this.input = node("input");
    this.input.type = "text";
    this.input.placeholder = CLASS_HINT;
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    this.list = node("ul");
    this.list.id = `classes-found-${searchBoxes++}`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Classes found");
    this.input.setAttribute("role", "combobox");
    this.input.setAttribute("aria-label", "Relabel as");
    this.input.setAttribute("aria-expanded", "true");
    this.input.setAttribute("aria-autocomplete", "list");
    this.input.setAttribute("aria-controls", this.list.id);
    this.root.append(this.input, this.list);
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("click", (event) => this.take(event.target.closest("li")));
  }

  // ``typed`` is what is in the box already; ``hint`` what it says while it is empty.
  open(classNames, typed = "", hint = CLASS_HINT) {
    if (this.index?.names !== classNames) this.index = new ClassIndex(classNames);
    this.input.value = typed;
    this.input.placeholder = hint;
    this.find();
    this.input.focus();
    this.root.scrollIntoView({ block: "nearest" }); // with the classes below what is typed
  }

  find() {
    const found = this.index.find(this.input.value, MOST_FOUND);
    const options = found.map((id, place) => this.option(id, place));
    this.list.replaceChildren(...(options.length ? options : [nothingFound()]));
    this.mark(0);
  }

  option(id, place) {
    const made = node("li", "", this.index.names[id]);
    made.dataset.id = id;
    made.id = `${this.list.id}-${place}`;
    made.title = this.index.names[id];
    made.setAttribute("role", "option");
    made.prepend(node("span", "number", String(id)));
    return made;
  }

  mark(place) {
    this.place = place;
    [...this.list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === place)));
    this.input.setAttribute("aria-activedescendant", this.list.children[place]?.id ?? "");
  }

  onKey(event) {
    // Streamlit listens for single letters (C, R) on the document and would not see that they are typed into a box.
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const last = this.list.children.length - 1;
    if (event.key === "ArrowDown") this.mark(Math.min(this.place + 1, last));
    else if (event.key === "ArrowUp") this.mark(Math.max(this.place - 1, 0));
    else if (event.key === "Enter" && !event.repeat) this.take(this.list.children[this.place]);
    else if (event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
  }

  take(option) {
    if (option?.dataset.id) this.choose(Number(option.dataset.id));
  }
}

// Made once for the names of a set: a key then costs one pass over them and sorts nothing.
class ClassIndex {
  constructor(names) {
    this.names = names;
    this.lower = names.map((name) => name.toLowerCase());
  }

  // Ids, the best first: the whole name or number, its beginning, the beginning of a word in it, any part; then by number.
  find(typed, most) {
    const wanted = typed.trim().toLowerCase();
    const ranks = [[], [], [], []];
    for (let id = 0; id < this.lower.length && ranks[0].length < most; id++) {
      const rank = rankOf(this.lower[id], String(id), wanted);
      if (rank !== null && ranks[rank].length < most) ranks[rank].push(id);
    }
    return ranks.flat().slice(0, most);
  }
}

function rankOf(name, number, wanted) {
  if (name === wanted || number === wanted) return 0;
  const place = name.indexOf(wanted);
  if (place === 0) return 1;
  if (place > 0) return isWordStart(name, wanted, place) ? 2 : 3;
  return number.startsWith(wanted) ? 3 : null;
}

function isWordStart(name, wanted, place) {
  for (let at = place; at > 0; at = name.indexOf(wanted, at + 1)) if (/[\s_,;:/()'-]/.test(name[at - 1])) return true;
  return false;
}

function nothingFound() {
  const made = node("li", "nothing", "no such class");
  made.setAttribute("role", "option");
  made.setAttribute("aria-disabled", "true");
  return made;
}
