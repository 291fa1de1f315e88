// Whether a card's keys count wherever the focus is, or only once somebody has gone to the card: who speaks to the browser, or
// hits keys by chance, has to be able to choose that (WCAG 2.1.4). Remembered in this browser.

const KEYS_PLACE = "stillroom/keys";
const ON_CARD = "on the card";

let keysChosen = null; // without storage the choice lasts as long as the page

class KeySwitch {
  constructor() {
    this.root = node("label", "key-switch");
    this.box = node("input");
    this.box.type = "checkbox";
    this.root.append(this.box, "Letters and digits count only after a click on the card or Tab to it");
    this.box.addEventListener("change", () => keepKeys(this.box.checked ? ON_CARD : ""));
  }

  draw() {
    this.box.checked = countOnCardOnly();
  }
}

function countOnCardOnly() {
  try {
    return (keysChosen ?? localStorage.getItem(KEYS_PLACE)) === ON_CARD;
  } catch {
    return false;
  }
}

function keepKeys(chosen) {
  try {
    localStorage.setItem(KEYS_PLACE, chosen);
  } catch {
    keysChosen = chosen;
  }
}
