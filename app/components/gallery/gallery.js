const TELL_AFTER_MS = 120;
const SMALLEST_CAPTIONED_PX = 60;
const STATE_MARKS = { kept: "✓", relabelled: "⇄", softened: "≈", pruned: "×", skipped: "…" };
const KEY_HINTS = [["Enter", "opens"], ["Space", "picks"], ["Shift", "extends"], ["Ctrl A", "all"], ["Esc", "none"]];

const galleries = new WeakMap();

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let gallery = galleries.get(parentElement);
  if (!gallery) {
    gallery = new Gallery(parentElement);
    galleries.set(parentElement, gallery);
  }
  gallery.receive(data, setStateValue);
  return () => {
    gallery.close();
    galleries.delete(parentElement);
  };
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Gallery {
  constructor(parent) {
    this.selected = new Set();
    this.focused = null;
    this.anchor = null;
    this.opened = null;
    this.ids = [];
    this.root = element("div", "gallery");
    this.pictureRule = element("style");
    this.sheet = element("div", "sheet");
    this.sheet.setAttribute("role", "listbox");
    this.sheet.setAttribute("aria-multiselectable", "true");
    this.sheet.setAttribute("aria-label", "Images");
    this.empty = element("div", "empty");
    this.count = element("span", "count");
    this.count.setAttribute("role", "status");
    this.status = element("div", "status");
    this.status.append(this.count, keyHints());
    this.root.append(this.pictureRule, this.sheet, this.empty, this.status);
    this.listen();
    parent.append(this.root);
  }

  listen() {
    this.sheet.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
    this.sheet.addEventListener("click", (event) => this.onClick(event));
    this.sheet.addEventListener("dblclick", (event) => this.open(this.idAt(event.target)));
    this.sheet.addEventListener("keydown", (event) => this.onKey(event));
  }

  close() {
    clearTimeout(this.timer);
    this.root.remove();
  }

  receive(data, setStateValue) {
    this.setStateValue = setStateValue;
    const content = JSON.stringify([data.sprite, data.tiles, data.size]);
    const newSelection = this.revision !== data.revision;
    this.revision = data.revision;
    if (newSelection) this.selected = new Set(data.selected);
    this.empty.textContent = data.empty;
    if (content === this.content) {
      if (newSelection) this.markSelected();
      return;
    }
    this.content = content;
    this.draw(data);
  }

  async draw(data) {
    const content = this.content;
    if (data.sprite.uri && data.sprite.uri !== this.uri) {
      const picture = new Image();
      picture.src = data.sprite.uri;
      await picture.decode().catch(() => {});
      if (content !== this.content) return;
      // One rule for all tiles: a sheet repeated in each tile's own style would be parsed as many times.
      this.pictureRule.textContent = `.picture { background-image: url("${data.sprite.uri}"); }`;
      this.uri = data.sprite.uri;
    }
    this.layOut(data);
    requestAnimationFrame(() => requestAnimationFrame(() => (this.root.dataset.rendered = performance.now())));
  }

  layOut({ tiles, sprite, size }) {
    const hadFocus = this.sheet.contains(this.root.getRootNode().activeElement);
    this.ids = tiles.map((tile) => tile.id);
    const shown = new Set(this.ids);
    this.selected = new Set([...this.selected].filter((id) => shown.has(id)));
    if (!shown.has(this.focused)) this.focused = null;
    if (!shown.has(this.anchor)) this.anchor = null;
    const cut = cutting(sprite, size);
    this.root.style.setProperty("--size", `${size}px`);
    this.root.style.setProperty("--cell", `${size + 12}px`);
    this.root.classList.toggle("enlarged", cut.scale >= 1);
    this.root.classList.toggle("tiny", size < SMALLEST_CAPTIONED_PX);
    const unreadable = new Set(sprite.unreadable);
    this.tiles = new Map(tiles.map((tile, place) => [tile.id, makeTile(tile, cut, place, unreadable.has(place))]));
    this.sheet.replaceChildren(...this.tiles.values());
    this.sheet.hidden = this.status.hidden = tiles.length === 0;
    this.empty.hidden = tiles.length > 0;
    this.markSelected();
    this.markFocus(hadFocus);
  }

  markSelected() {
    for (const [id, tile] of this.tiles) tile.setAttribute("aria-selected", String(this.selected.has(id)));
    const some = this.selected.size ? ` · ${this.selected.size} selected` : "";
    this.count.textContent = `${this.ids.length} ${this.ids.length === 1 ? "image" : "images"}${some}`;
  }

  markFocus(take) {
    const reachable = this.focused ?? this.ids[0];
    for (const [id, tile] of this.tiles) tile.tabIndex = id === reachable ? 0 : -1;
    if (take) this.tiles.get(reachable)?.focus({ preventScroll: false });
  }

  idAt(target) {
    const tile = target.closest(".tile");
    return tile ? Number(tile.dataset.id) : null;
  }

  onClick(event) {
    const id = this.idAt(event.target);
    if (id === null) return;
    if (event.shiftKey) this.selectTo(id, event.ctrlKey || event.metaKey);
    else if (event.ctrlKey || event.metaKey) this.toggle(id);
    else this.selectOnly([id]);
    if (!event.shiftKey) this.anchor = id;
    this.focused = id;
    this.changed();
  }

  onKey(event) {
    const from = this.focused ?? this.ids[0];
    if (from === undefined || event.altKey) return;
    const handled = this.onCommand(event, from) || this.onMove(event, from);
    if (!handled) return;
    event.preventDefault();
    event.stopPropagation();
  }

  onCommand(event, id) {
    const all = event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey);
    if (all) this.selectOnly(this.ids);
    else if (event.key === "Escape") this.selectOnly([]);
    else if (event.key === " ") {
      this.toggle(id);
      this.anchor = this.focused = id;
    } else if (event.key === "Enter") {
      this.open(id);
      return true;
    } else return false;
    this.changed();
    return true;
  }

  onMove(event, from) {
    const place = this.ids.indexOf(from);
    const columns = this.columns();
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -place, End: this.ids.length };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey) return false;
    const wanted = place + steps[event.key];
    const sideways = Math.abs(steps[event.key]) === columns && columns > 1;
    const inside = wanted >= 0 && wanted < this.ids.length;
    const to = sideways && !inside ? place : Math.min(Math.max(wanted, 0), this.ids.length - 1);
    this.anchor ??= from;
    this.focused = this.ids[to];
    if (event.shiftKey) this.selectTo(this.focused, false);
    this.changed();
    return true;
  }

  columns() {
    const tiles = [...this.tiles.values()];
    const second = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
    return second === -1 ? tiles.length : second;
  }

  selectOnly(ids) {
    this.selected = new Set(ids);
  }

  toggle(id) {
    if (!this.selected.delete(id)) this.selected.add(id);
  }

  selectTo(id, adding) {
    const [from, to] = [this.ids.indexOf(this.anchor ?? id), this.ids.indexOf(id)].sort((a, b) => a - b);
    const range = this.ids.slice(from, to + 1);
    this.selected = new Set(adding ? [...this.selected, ...range] : range);
  }

  open(id) {
    if (id === null) return;
    this.focused = id;
    this.opened = { id, at: Date.now() };
    this.markFocus(true);
    this.tell();
  }

  changed() {
    this.markSelected();
    this.markFocus(true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), TELL_AFTER_MS);
  }

  tell() {
    clearTimeout(this.timer);
    this.timer = null;
    const selected = this.ids.filter((id) => this.selected.has(id));
    this.setStateValue("view", { selected, focused: this.focused, opened: this.opened, revision: this.revision });
  }
}

// Tiles are shown at whole pixels, so that the sheet is scaled by one factor and no neighbour shows at an edge.
function cutting(sprite, size) {
  const scale = size / Math.max(sprite.tile_w, sprite.tile_h);
  const width = Math.max(1, Math.round(sprite.tile_w * scale));
  const height = Math.max(1, Math.round(sprite.tile_h * scale));
  return { scale, width, height, columns: sprite.columns, rows: sprite.rows };
}

function makeTile(tile, cut, place, unreadable) {
  const made = element("div", "tile");
  made.dataset.id = tile.id;
  made.setAttribute("role", "option");
  made.setAttribute("aria-label", describe(tile, unreadable));
  made.title = [describe(tile, unreadable), tile.note].filter(Boolean).join("\n");
  if (tile.state) made.classList.add(tile.state);
  const frame = element("div", "frame");
  const picture = element("div", "picture");
  picture.style.width = `${cut.width}px`;
  picture.style.height = `${cut.height}px`;
  picture.style.backgroundSize = `${cut.columns * cut.width}px ${cut.rows * cut.height}px`;
  picture.style.backgroundPosition = `${-(place % cut.columns) * cut.width}px ${-Math.floor(place / cut.columns) * cut.height}px`;
  frame.append(picture);
  made.append(frame, caption(tile, unreadable));
  if (tile.flagged) made.append(element("span", "flag"));
  if (tile.state) made.append(element("span", "state", STATE_MARKS[tile.state]));
  return made;
}

function caption(tile, unreadable) {
  const made = element("div", "caption");
  const label = element("span", "label");
  if (tile.was) label.append(element("span", "was", tile.was), " ");
  label.append(unreadable ? "unreadable" : tile.label);
  made.append(label);
  if (tile.score !== null) made.append(element("span", "score", tile.score.toFixed(2)));
  return made;
}

function describe(tile, unreadable) {
  const parts = [`sample ${tile.id}`, tile.was ? `${tile.label}, was ${tile.was}` : tile.label];
  if (unreadable) parts.push("unreadable image");
  if (tile.flagged) parts.push("flagged");
  if (tile.state) parts.push(tile.state);
  if (tile.score !== null) parts.push(`score ${tile.score.toFixed(2)}`);
  return parts.filter(Boolean).join(", ");
}

function keyHints() {
  const hints = element("span", "keys");
  for (const [key, does] of KEY_HINTS) {
    const hint = element("span", "hint");
    hint.append(element("kbd", "", key), ` ${does}`);
    hints.append(hint);
  }
  return hints;
}
