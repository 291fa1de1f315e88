// What the keys of a card do, and the table that says so.

const DIGIT_CLASSES = 10;
const KEYS = {
  k: "keep",
  a: "accept",
  b: "both",
  l: "relabel",
  "/": "relabel",
  e: "edit",
  p: "prune",
  u: "restore",
  s: "skip",
  z: "undo",
  x: "scaling",
  f: "flip",
  "?": "help",
};
const BUTTONS = [
  ["keep", "K", "Keep"],
  ["accept", "A", "Accept"],
  ["both", "B", "Both"],
  ["relabel", "L", "Relabel…"],
  ["edit", "E", "Edit"],
  ["prune", "P", "Prune…"],
  ["restore", "U", "Restore"],
  ["skip", "S", "Skip"],
  ["undo", "Z", "Undo"],
];
const BLIND_OFF = ["keep", "accept", "both", "edit"];
const WHY_BLIND = "You label this blind: the given label and what the analyses say are hidden, so this is off.";
const KEY_TABLE = [
  ["K", "Keep the label that it has; of a softened one, go back to the hard label"],
  ["A", "Accept what is suggested"],
  ["B", "Both: this label and the suggested one, half each; without a suggestion, choose the second"],
  ["0 – 9", "Relabel at once; with more than ten classes, search for the number"],
  ["L or /", "Relabel: type part of a name or a number, ↑ ↓ to choose, Enter"],
  ["E", "Edit the soft label"],
  ["P", "Prune, then 1 – 5 for the reason, or Enter for none"],
  ["U", "Restore a pruned image"],
  ["S", "Skip: leave it undecided, to come back later"],
  ["Z", "Undo the last decision; again for the one before"],
  ["F", "Stored pixels: hold it, or press it once"],
  ["X", "Sharp or smooth pixels, remembered in this browser"],
  ["?", "Show or close this table"],
  ["Esc", "Leave whatever is open, a reopened image as it was decided"],
];

// Whether a card that has nothing open makes anything of a key.
function isCardKey(key) {
  return /^[0-9]$/.test(key) || key.toLowerCase() in KEYS;
}

// Whether an action does nothing here: the item is shown blind, or lacks what the action is about.
function isOff(item, action) {
  if (item.given === null && BLIND_OFF.includes(action)) return true;
  const needed = { accept: item.suggestion, edit: item.soft, restore: item.pruned };
  return action in needed && !needed[action];
}

class KeyHelp {
  constructor(close) {
    this.root = node("section", "key-help");
    this.root.tabIndex = -1;
    this.root.setAttribute("aria-label", "What the keys do");
    const table = node("table");
    table.append(node("caption", "", "What the keys do"));
    const body = node("tbody");
    for (const [keys, meaning] of KEY_TABLE) {
      const row = node("tr");
      const head = node("th");
      head.scope = "row";
      head.append(...keys.split(/( or )/).map((part) => (part === " or " ? part : node("kbd", "", part))));
      row.append(head, node("td", "", meaning));
      body.append(row);
    }
    table.append(body);
    const shut = keyButton("Esc", "Close");
    shut.addEventListener("click", close);
    this.switch = new KeySwitch();
    this.root.append(table, this.switch.root, shut);
  }

  open() {
    this.root.hidden = false;
    this.switch.draw();
    this.root.focus({ preventScroll: true });
  }
}

// Enter with Ctrl, or Enter and the space bar held down, must not press a button over and over.
function calmButtons(root) {
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    const onButton = event.composedPath().some((one) => one instanceof HTMLButtonElement);
    if (onButton && (event.repeat || event.ctrlKey || event.metaKey || event.altKey)) event.preventDefault();
  });
}
