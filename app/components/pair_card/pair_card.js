const NOTHING = -1;
const ELSE = "something else";
const STRIP = 8;
const KEYS = {
  ArrowLeft: "left",
  1: "left",
  ArrowRight: "right",
  2: "right",
  b: "both",
  n: "neither",
  s: "none",
  "?": "help",
};
const BUTTONS = [
  ["both", "B", "Both fit"],
  ["neither", "N", "Neither fits"],
  ["none", "S", "Skip"],
];
const HELP =
  "← or 1 the left label fits better · → or 2 the right one · B both fit equally well · N neither fits · " +
  "S skip: no answer, the next image · ? hide the keys. An answer stands: what you gave is kept for good.";

export default cardComponent(() => new PairCard());

class PairCard {
  constructor() {
    this.view = new PairView((said) => this.act(said));
    this.root = this.view.root;
  }

  get showing() {
    return this.current && keyOf(this.current);
  }

  close() {
    this.view.close();
  }

  receive(data, setStateValue) {
    if (this.queue?.scope !== data.scope) {
      this.queue?.close();
      this.queue = new EventQueue("answers", data.scope);
      this.current = null;
    }
    if (this.data?.author !== data.author) this.current = null; // the sides are another person's
    this.data = data;
    this.queue.acknowledge(data.acknowledged);
    this.queue.connect(setStateValue);
    this.showNext();
  }

  // The question being looked at stays, also when a new order no longer has it.
  showNext() {
    const answered = new Set(this.queue.entries.flatMap(keysOf));
    const upcoming = this.data.items.filter((item) => !answered.has(keyOf(item)));
    const same = this.showing;
    const stay = upcoming.find((item) => keyOf(item) === same) ?? (answered.has(same) ? null : this.current);
    const next = stay ?? upcoming[0] ?? null;
    if (!next || keyOf(next) !== same) this.shownAt = performance.now();
    this.current = next;
    const known = this.data.items.length - upcoming.length;
    const following = upcoming.filter((item) => item !== next);
    this.view.draw(this.data, next, following.slice(0, STRIP), Math.max(this.data.remaining - known, 0));
    this.view.foot.drawStatus(this.queue.length, this.data.trouble);
  }

  act(said) {
    if (said === "help") this.view.toggleHelp();
    else if (this.current && !(isCheck(this.current) && (said === "both" || said === "neither"))) this.answer(said);
  }

  answer(said) {
    const { sample_id, left, right } = this.current;
    const seconds = Math.round(performance.now() - this.shownAt) / 1000;
    this.queue.add({ sample_id, left, right, said, seconds, author: this.data.author });
    this.showNext();
  }

  knows(key) {
    return Boolean(saidBy(key));
  }

  takeKey(key) {
    const said = saidBy(key);
    if (said) this.act(said);
    return Boolean(said);
  }
}

class PairView {
  constructor(act) {
    this.root = node("section", "card pair");
    this.root.setAttribute("aria-label", "Compare two labels");
    this.ask = node("p", "ask");
    this.ask.setAttribute("role", "heading");
    this.ask.setAttribute("aria-level", "2");
    this.picture = node("div", "picture");
    this.sides = { left: new Side("←", () => act("left")), right: new Side("→", () => act("right")) };
    const trio = node("div", "trio");
    trio.append(this.sides.left.root, this.picture, this.sides.right.root);
    this.help = node("div", "help");
    this.switch = new KeySwitch();
    this.help.append(node("p", "", HELP), this.switch.root);
    this.help.hidden = true;
    this.body = node("div", "body");
    this.body.append(this.ask, trio, this.makeButtons(act), this.help);
    this.empty = node("p", "empty");
    this.foot = new CardFoot();
    this.root.append(this.body, this.empty, this.foot.root);
  }

  close() {
    this.foot.close();
    this.root.remove();
  }

  makeButtons(act) {
    const row = node("div", "others");
    this.button = {};
    for (const [said, key, text] of BUTTONS) {
      const made = keyButton(key, text);
      made.addEventListener("click", () => act(said));
      this.button[said] = made;
      row.append(made);
    }
    this.keys = keyButton("?", "");
    this.keys.setAttribute("aria-label", "Show the keys");
    this.keys.addEventListener("click", () => act("help"));
    row.append(this.keys);
    return row;
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    this.switch.draw();
    this.keys.setAttribute("aria-expanded", String(!this.help.hidden));
  }

  draw(data, item, following, remaining) {
    this.body.hidden = !item;
    this.empty.hidden = Boolean(item);
    this.empty.textContent = data.remaining > 0 ? "Loading the next images…" : data.empty;
    this.foot.draw(remaining);
    this.foot.drawStrip(following.map((one) => image(one, "")));
    this.root.dataset.question = item ? keyOf(item) : "";
    if (!item) return;
    const label = item.left === NOTHING ? item.right : item.left;
    this.ask.textContent = isCheck(item) ? `Does “${data.classes[label].name}” fit?` : "Which label fits better?";
    this.picture.replaceChildren(image(item, "the image in question"));
    this.sides.left.draw(data, item.left, item.left_tiles);
    this.sides.right.draw(data, item.right, item.right_tiles);
    for (const said of ["both", "neither"]) this.button[said].disabled = isCheck(item);
  }
}

// One of the two big buttons: the label, and what images of that class look like.
class Side {
  constructor(key, act) {
    this.root = node("button", "choice");
    this.root.type = "button";
    this.root.addEventListener("click", act);
    this.name = node("span", "name");
    this.examples = node("span", "examples");
    this.caption = node("span", "caption");
    this.root.append(node("kbd", "", key), this.name, this.examples, this.caption);
  }

  draw(data, label, places) {
    const { name, examples } = data.classes[label] ?? { name: ELSE };
    this.name.textContent = name;
    this.root.title = name;
    this.root.setAttribute("aria-label", label === NOTHING ? ELSE : `${name} fits`);
    this.examples.replaceChildren(...places.map((place) => tile(examples, place)));
    this.caption.textContent = label === NOTHING ? "another class, or nothing to recognise" : places.length ? data.examples_are : "";
  }
}

function saidBy(key) {
  return KEYS[key] ?? KEYS[key.toLowerCase()];
}

// Whether only one label is asked about, against anything else.
function isCheck(item) {
  return item.left === NOTHING || item.right === NOTHING;
}

// The questions that an entry settles: what somebody skips is not asked the other way round either.
function keysOf(entry) {
  const swapped = { ...entry, left: entry.right, right: entry.left };
  return entry.said === "none" ? [keyOf(entry), keyOf(swapped)] : [keyOf(entry)];
}

function keyOf(question) {
  return `${question.sample_id}/${question.left}/${question.right}`;
}
