// A box that finds a class by the first letters of its name, any part of it, or its number.

const MOST_FOUND = 6;

class ClassSearch {
  constructor(choose, cancel) {
    this.choose = choose;
    this.cancel = cancel;
    this.root = node("div", "search");
    this.input = node("input");
    this.input.type = "text";
    this.input.placeholder = "Class name or number";
    this.input.autocomplete = "off";
    this.input.setAttribute("role", "combobox");
    this.input.setAttribute("aria-label", "Relabel as");
    this.input.setAttribute("aria-expanded", "true");
    this.list = node("ul");
    this.list.setAttribute("role", "listbox");
    this.root.append(this.input, this.list);
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("click", (event) => this.take(event.target.closest("li")));
  }

  open(classNames) {
    this.classNames = classNames;
    this.input.value = "";
    this.find();
    this.input.focus();
  }

  find() {
    const wanted = this.input.value.trim().toLowerCase();
    const found = this.classNames.map((name, id) => ({ name, id, rank: rankOf(name.toLowerCase(), id, wanted) }));
    const best = found.filter((one) => one.rank < 9).sort((a, b) => a.rank - b.rank || a.id - b.id);
    this.list.replaceChildren(...best.slice(0, MOST_FOUND).map(classOption));
    if (!best.length) this.list.replaceChildren(node("li", "nothing", "no such class"));
    this.mark(0);
  }

  mark(place) {
    this.place = place;
    [...this.list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === place)));
  }

  onKey(event) {
    // Streamlit listens for single letters (C, R) on the document and would not see that they are typed into a box.
    event.stopPropagation();
    const last = this.list.children.length - 1;
    if (event.key === "ArrowDown") this.mark(Math.min(this.place + 1, last));
    else if (event.key === "ArrowUp") this.mark(Math.max(this.place - 1, 0));
    else if (event.key === "Enter") this.take(this.list.children[this.place]);
    else if (event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
  }

  take(option) {
    if (option?.dataset.id) this.choose(Number(option.dataset.id));
  }
}

function rankOf(name, id, wanted) {
  if (name === wanted || String(id) === wanted) return 0;
  if (name.startsWith(wanted)) return 1;
  return name.includes(wanted) ? 2 : 9;
}

function classOption({ name, id }) {
  const option = node("li", "", name);
  option.dataset.id = id;
  option.setAttribute("role", "option");
  option.prepend(node("span", "number", String(id)));
  return option;
}
