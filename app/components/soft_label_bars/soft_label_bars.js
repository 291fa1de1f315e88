const holders = new WeakMap();

export default function (component) {
  const { parentElement, data } = component;
  let holder = holders.get(parentElement);
  if (!holder) {
    holder = node("div", "soft-labels");
    parentElement.append(holder);
    holders.set(parentElement, holder);
  }
  holder.replaceChildren(data.rows.length ? barsTable(data) : node("p", "none", "This set has no soft labels."));
  return () => {
    holder.remove();
    holders.delete(parentElement);
  };
}
