// The line below a card: how many are left, which come next, whether all is saved.

const SLOW_MS = 4_000;

class CardFoot {
  constructor() {
    this.root = node("div", "foot");
    this.left = node("span", "left");
    this.strip = node("div", "strip");
    this.asleep = node("span", "asleep", "keys pause while a field is in use: click anywhere else");
    this.away = node("span", "when-away", "keys pause until the card is clicked");
    this.status = node("span", "saved");
    this.status.setAttribute("role", "status");
    this.root.append(this.left, this.strip, this.asleep, this.away, this.status);
    this.onFocus = () => setTimeout(() => this.drawAsleep());
    for (const name of ["focusin", "focusout"]) document.addEventListener(name, this.onFocus);
    this.drawAsleep();
  }

  close() {
    for (const name of ["focusin", "focusout"]) document.removeEventListener(name, this.onFocus);
    clearTimeout(this.slow);
  }

  draw(remaining) {
    this.left.textContent = remaining === 1 ? "1 left" : `${remaining.toLocaleString("en")} left`;
  }

  drawStrip(images) {
    this.strip.replaceChildren(...images);
  }

  // After a choice in a field outside, the field keeps the focus, and keys would silently do nothing.
  drawAsleep() {
    this.asleep.hidden = !takesText(document.activeElement ?? document.body);
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

function image(item, alt) {
  const made = node("img");
  made.src = item.image;
  made.alt = alt;
  made.draggable = false;
  return made;
}

// Cut from the sheet by shares of its size, which the style sheet chooses.
function tile(sheet, place) {
  const made = node("span", "tile");
  const share = (i, count) => (count > 1 ? (100 * i) / (count - 1) : 0);
  const [column, row] = [place % sheet.columns, Math.floor(place / sheet.columns)];
  Object.assign(made.style, {
    aspectRatio: `${sheet.tile_w} / ${sheet.tile_h}`,
    backgroundImage: `url("${sheet.uri}")`,
    backgroundSize: `${100 * sheet.columns}% ${100 * sheet.rows}%`,
    backgroundPosition: `${share(column, sheet.columns)}% ${share(row, sheet.rows)}%`,
  });
  return made;
}

// A choice that this browser keeps; null where it was never made, or where nothing can be kept.
function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, chosen) {
  try {
    localStorage.setItem(name, chosen);
  } catch {
    // Without storage, or with a full one, the choice lasts as long as whoever asks keeps it.
  }
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
