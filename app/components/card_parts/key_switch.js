// Whether a card's keys count wherever the focus is, or only once somebody has gone to the card: who speaks to the browser, or
// hits keys by chance, has to be able to choose that (WCAG 2.1.4). Remembered in this browser.

const KEYS_PLACE = "stillroom/keys";
const ON_CARD = "on the card";

let keysChosen = ""; // what counts where the browser remembers nothing

class KeySwitch {
  constructor() {
    this.root = node("label", "key-switch");
    this.box = node("input");
    this.box.type = "checkbox";
    this.root.append(this.box, "Letters and digits count only after a click on the card or Tab to it");
    this.box.addEventListener("change", () => this.choose());
  }

  draw() {
    this.box.checked = countOnCardOnly();
  }

  choose() {
    keysChosen = this.box.checked ? ON_CARD : "";
    remember(KEYS_PLACE, keysChosen);
  }
}

function countOnCardOnly() {
  return (remembered(KEYS_PLACE) ?? keysChosen) === ON_CARD;
}
