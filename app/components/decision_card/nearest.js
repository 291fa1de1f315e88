// What each candidate class looks like: images of this set near the one at hand, and real ones.

function candidateColumn(candidate, names) {
  const column = node("section", "candidate");
  const head = node("div", "head");
  const name = node("span", "name", names[candidate.label]);
  name.title = names[candidate.label];
  head.append(name, node("span", "why", candidate.why));
  column.append(head, ...candidate.strips.map((strip) => stripRow(strip, names[candidate.label])));
  return column;
}

function stripRow(strip, className) {
  const row = node("div", "tiles");
  row.setAttribute("role", "img");
  row.setAttribute("aria-label", `${className}, ${strip.caption}: ${strip.names.join(", ") || "none"}`);
  row.append(...strip.places.map((place, i) => namedTile(strip.sheet, place, strip.names[i])));
  const caption = node("div", "caption", strip.caption);
  caption.title = strip.caption;
  caption.classList.toggle("whole", !strip.places.length); // it says why there are none
  const holder = node("div", "near-strip");
  holder.append(caption, row);
  return holder;
}

const TILE_SHOWN_PX = 48;

function namedTile(sheet, place, name) {
  const made = tile(sheet, place);
  made.title = name;
  made.style.imageRendering = Math.max(sheet.tile_w, sheet.tile_h) > TILE_SHOWN_PX ? "auto" : "pixelated";
  return made;
}
