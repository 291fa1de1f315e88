// Keeps a card alive while Streamlit takes it out of the page and puts it in again, as it does when what stands above it
// changes: with what was typed, what is to be undone, and the keys that were pressed in between.

const RETURN_MS = 2_000;

let lastMounted = null; // the only card that may come back: a page shows one at a time

// What a component exports. ``make()`` gives a card: ``root``, ``receive(data, setStateValue)``, ``queue`` (an EventQueue),
// ``showing`` (what names the image on it), ``takeKey(key)``, which says whether the key meant anything, ``knows(key)``, which
// says whether it would, without doing it, and ``close()``.
function cardComponent(make) {
  return ({ parentElement, data, setStateValue }) => {
    const mount = MountedCard.at(parentElement, data.scope, make);
    mount.receive(data, setStateValue);
    return () => mount.leave(parentElement);
  };
}

class MountedCard {
  static at(parent, scope, make) {
    const known = lastMounted;
    if (!known?.closed && (known?.parent === parent || known?.scope === scope)) {
      known.moveTo(parent);
      return known;
    }
    lastMounted = new MountedCard(make());
    lastMounted.moveTo(parent);
    return lastMounted;
  }

  constructor(card) {
    this.card = card;
    this.ear = new Ear(card);
  }

  moveTo(parent) {
    clearTimeout(this.gone);
    if (this.card.root.parentNode !== parent) {
      this.returned = this.parent !== undefined;
      parent.append(this.card.root);
    }
    this.parent = parent;
    this.ear.mark();
  }

  receive(data, setStateValue) {
    this.scope = data.scope;
    this.card.receive(data, setStateValue);
    if (this.returned) this.comeBack();
  }

  comeBack() {
    this.returned = false;
    if (this.card.queue.length) this.card.queue.send(); // what went out last may have gone with the old place
    const missed = this.ear.missedKeys();
    if (this.card.showing === this.left) missed.forEach((key) => this.card.takeKey(key));
  }

  // A place may be left after the card has been put into another one.
  leave(parent) {
    if (this.parent !== parent) return;
    this.parent = null;
    this.left = this.card.showing;
    this.card.queue.rest();
    this.card.root.remove();
    this.gone = setTimeout(() => this.close(), RETURN_MS);
  }

  close() {
    this.closed = true;
    this.ear.close();
    this.card.queue.close();
    this.card.close();
  }
}

// Hears the keys that count: while the card is to be seen, no dialog covers it, nobody is typing somewhere, and, where that was
// chosen (KeySwitch), the card is where somebody clicked or tabbed to last. Those pressed while the card is out of the page for
// a moment are kept until it is back with the same image, and from whatever has the focus: a closed menu would open with them,
// and take all that follow.
class Ear {
  constructor(card) {
    this.card = card;
    this.missed = [];
    this.isHere = false;
    this.onKey = (event) => this.hear(event) || this.card.queue.flush();
    this.onPointer = (event) => this.goTo(event) || this.card.queue.flush();
    this.onFocus = (event) => this.isAround(event.target) || this.goTo(event);
    document.addEventListener("keydown", this.onKey, true); // before a closed menu takes the key for a search
    document.addEventListener("pointerdown", this.onPointer, true);
    document.addEventListener("focusin", this.onFocus, true);
  }

  close() {
    document.removeEventListener("keydown", this.onKey, true);
    document.removeEventListener("pointerdown", this.onPointer, true);
    document.removeEventListener("focusin", this.onFocus, true);
  }

  // Whether it is to the card that somebody goes.
  goTo(event) {
    this.isHere = event.composedPath().includes(this.card.root);
    this.mark();
    return this.isHere;
  }

  // A click on the card may give the focus to what the card lies in, which is no other place.
  isAround(one) {
    const { host } = this.card.root.getRootNode();
    return one !== host && one.contains(host);
  }

  mark() {
    this.card.root.classList.toggle("away", this.isAway());
  }

  isAway() {
    return countOnCardOnly() && !this.isHere;
  }

  // Whether the key was the card's.
  hear(event) {
    // A key held down repeats, and would answer about images that nobody has looked at.
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
    if (this.isAway() || isElsewhere(event) || !this.takes(event.key)) return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  takes(key) {
    if (this.card.root.isConnected) return this.card.root.checkVisibility() && this.card.takeKey(key);
    if (!this.missed.length && !this.card.knows(key)) return false;
    this.missed.push({ key, at: performance.now() }); // with what it begins: Enter after P, a digit after L
    return true;
  }

  missedKeys() {
    const since = performance.now() - RETURN_MS;
    return this.missed.splice(0).flatMap(({ key, at }) => (at > since ? [key] : []));
  }
}

function isElsewhere(event) {
  if (document.querySelector('[role="dialog"]')) return true;
  return event.composedPath().some((one) => one instanceof HTMLElement && takesText(one));
}
