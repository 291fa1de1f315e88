// What changes several bars at once: move from one class to another, mix with another label, sharpen or soften.

const TEMPERATURE_STEPS = 100; // slider steps to ten times sharper or softer

class EditorTools {
  // ``does``: move(a, b, share), mix(which, weight), temper(temperature), settle()
  constructor(does) {
    this.does = does;
    this.root = node("div", "tools");
    this.amount = slider("How much to move, in per cent of what the class has", 0, 100);
    this.from = menu("Move from");
    this.to = menu("Move to");
    this.weight = slider("Weight of what is mixed in, in per cent", 0, 100);
    this.other = menu("What to mix in");
    this.heat = slider("Temperature", -TEMPERATURE_STEPS, TEMPERATURE_STEPS);
    this.said = { move: node("span", "said"), mix: node("span", "said"), temper: node("span", "said") };
    this.root.append(
      tool("M", "Move", [this.from, node("span", "", "to"), this.to], [this.amount, this.said.move]),
      tool("I", "Mix in", [this.other], [this.weight, this.said.mix]),
      tool("T", "Sharpen or soften", [], [this.heat, this.said.temper]),
    );
    this.listen("move", this.amount, [this.from, this.to]);
    this.listen("mix", this.weight, [this.other]);
    this.listen("temper", this.heat, []);
  }

  listen(name, range, menus) {
    range.addEventListener("input", () => this.act(name));
    // What has been moved or mixed is done; another choice begins anew.
    for (const one of menus) one.addEventListener("change", () => this.does.settle());
  }

  act(name) {
    if (name === "move") this.does.move(this.from.value, this.to.value, Number(this.amount.value) / 100);
    else if (name === "mix") this.does.mix(this.other.value, Number(this.weight.value) / 100);
    else this.does.temper(this.temperature());
  }

  temperature() {
    return 10 ** (Number(this.heat.value) / TEMPERATURE_STEPS);
  }

  // ``places`` [[value, text]] are what mass can be moved between, ``others`` what can be mixed in.
  offer(places, others, from, to) {
    fill(this.from, places, from);
    fill(this.to, places, to);
    fill(this.other, others, null);
  }

  // Only the tool in use shows where it stands; the others begin from here.
  draw(live, moved) {
    if (live !== "move") this.amount.value = 0;
    if (live !== "mix") this.weight.value = 0;
    if (live !== "temper") this.heat.value = 0;
    say(this.amount, this.said.move, moved.toFixed(3));
    say(this.weight, this.said.mix, `${this.weight.value} %`);
    const temperature = this.temperature();
    const way = temperature < 1 ? "sharper" : temperature > 1 ? "softer" : "as it is";
    say(this.heat, this.said.temper, `T = ${temperature.toFixed(2)}, ${way}`);
  }

  focus(name) {
    ({ move: this.amount, mix: this.weight, temper: this.heat })[name].focus();
  }
}

function tool(key, title, menus, parts) {
  const made = node("div", "tool");
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", title);
  const head = node("div", "head");
  head.append(node("kbd", "", key), node("span", "", title), ...menus);
  const row = node("div", "slide");
  row.append(...parts);
  made.append(head, row);
  return made;
}

function slider(label, least, most) {
  const made = node("input");
  Object.assign(made, { type: "range", min: least, max: most, step: 1, value: 0 });
  made.setAttribute("aria-label", label);
  return made;
}

function menu(label) {
  const made = node("select");
  made.setAttribute("aria-label", label);
  return made;
}

function fill(select, options, wanted) {
  const before = wanted ?? select.value;
  select.replaceChildren(
    ...options.map(([value, text]) => {
      const option = node("option", "", text);
      option.value = value;
      return option;
    }),
  );
  if (options.some(([value]) => value === String(before))) select.value = before;
}

function say(range, place, text) {
  place.textContent = text;
  range.setAttribute("aria-valuetext", text);
}
