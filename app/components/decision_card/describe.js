// What a card says in words about its image.

function describeItem(item, names) {
  const standing = item.label ?? item.given;
  const title = node("div", "title");
  const label = node("span", "label", item.given === null ? "Which class is it?" : names[standing]);
  label.title = label.textContent;
  title.append(label);
  if (item.given !== null) title.append(node("span", "id", `sample ${item.id}`)); // in many sets the number tells the class
  if (item.pruned) title.append(node("span", "chip", "pruned"));
  if (item.softened) title.append(node("span", "chip", "softened"));
  const parts = [title];
  if (item.decided) parts.push(node("p", "decided", item.decided));
  if (item.given === null) return [...parts, node("p", "evidence", BLIND_WORDS)];
  if (standing !== item.given) parts.push(factLine("Given", names[item.given]));
  const target = suggestionText(item.suggestion, names);
  if (target) parts.push(suggestionBox(target, item.suggestion.evidence));
  if (item.note) parts.push(node("p", "evidence flags", item.note));
  return parts;
}

const BLIND_WORDS =
  "You label this one blind: the given label, and what others and the analyses say of it, are hidden. " +
  "Keep, Accept, Both and Edit are off; choose a class.";

function suggestionBox(target, evidence) {
  const box = node("div", "suggestion");
  box.append(node("span", "lead", "Suggested"), node("span", "target", target));
  if (evidence) box.append(node("p", "evidence", evidence));
  return box;
}

function factLine(lead, text) {
  const made = node("div", "note");
  made.append(node("span", "lead", lead), text);
  return made;
}

function suggestionText(suggestion, names) {
  if (!suggestion) return "";
  if (suggestion.action === "relabel") return names[suggestion.label];
  return suggestion.reason ? `prune, ${suggestion.reason}` : "prune";
}
