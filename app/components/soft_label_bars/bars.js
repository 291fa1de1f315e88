// The bars as a plain table, shared by every component that shows soft labels.

const KIND_WORDS = {
  logits: "softmax of logits",
  probabilities: "probabilities",
  scores: "softmax of scores",
  corrected: "corrected",
  hard: "hard label",
};

function barsTable(data) {
  const table = node("table", "bars");
  table.style.setProperty("--sources", data.sources.length);
  const head = node("tr");
  head.append(node("td"));
  for (const source of data.sources) head.append(sourceHeading(source));
  const top = data.sources.map((_, s) => Math.max(...data.rows.map((row) => row.values[s])));
  const body = node("tbody");
  for (const row of data.rows) body.append(classRow(row, top));
  if (data.other) body.append(otherRow(data.other));
  const heading = node("thead");
  heading.append(head);
  table.append(node("caption", "unseen", "Soft labels by class and source"), heading, body);
  return table;
}

function sourceHeading(source) {
  const made = node("th", "source", source.name);
  made.scope = "col";
  made.title = `${source.name}: ${KIND_WORDS[source.kind]}`;
  made.append(node("span", "kind", KIND_WORDS[source.kind]));
  return made;
}

function classRow(row, top) {
  const made = node("tr", row.given ? "given" : "");
  const name = node("th", "class");
  name.scope = "row";
  name.title = row.name;
  name.append(node("span", "name", row.name));
  if (row.given) name.append(node("span", "tag given", "given"));
  if (row.suggested) name.append(node("span", "tag suggested", "suggested"));
  made.append(name, ...row.values.map((value, s) => valueCell(value, value === top[s])));
  return made;
}

function otherRow(other) {
  const made = node("tr", "other");
  const name = node("th", "class", other.count === 1 ? "1 other class" : `${other.count} other classes`);
  name.scope = "row";
  made.append(name, ...other.values.map((value) => valueCell(value, false)));
  return made;
}

function valueCell(value, isTop) {
  const made = node("td", isTop ? "value top" : "value");
  const track = node("span", "track");
  const bar = node("span", "bar");
  bar.style.width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
  track.append(bar);
  made.append(track, node("span", "number", probabilityText(value)));
  return made;
}

function probabilityText(value) {
  if (value > 0 && value < 0.005) return "<0.01";
  return value.toFixed(2);
}

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
