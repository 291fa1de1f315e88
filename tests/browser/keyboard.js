// For keyboard.py: what has the focus, and whether it looked any different while it had it.
window.stops ??= (() => {
  const LOOKS = ["outlineStyle", "outlineWidth", "outlineColor", "boxShadow", "borderColor", "backgroundColor", "color", "opacity"];
  let watched = [];
  let before = [];
  let count = 0;
  const numbers = new WeakMap();

  async function here() {
    const element = focused();
    // A transition would show the look of a moment before, and a canvas is painted anew in the next frame.
    for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
    if (element?.closest("canvas") || watched.some((one) => one.tagName === "CANVAS")) await twoFrames();
    const told = watched.some((one, place) => one.isConnected && look(one) !== before[place]);
    watched = element === null ? [] : around(seen(element));
    before = watched.map(look);
    return { told, stop: element === null ? null : stop(element) };
  }

  function twoFrames() {
    return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  }

  // The cells of a canvas are there to be heard; what is seen of them is in the picture.
  function seen(element) {
    return element.closest("canvas") ?? element;
  }

  function focused() {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return !at || at === document.body || at === document.documentElement ? null : at;
  }

  // A ring may be drawn by the element, by a frame around it, or by what stands in it.
  function around(element) {
    const found = [element, ...[...element.querySelectorAll("*")].slice(0, 12)];
    for (let [at, steps] = [parent(element), 0]; at && steps < 5; [at, steps] = [parent(at), steps + 1]) {
      found.push(at, ...[...at.children].slice(0, 8));
    }
    return found;
  }

  function parent(element) {
    return element.parentElement ?? element.getRootNode().host ?? null;
  }

  function look(element) {
    const own = getComputedStyle(element);
    const drawn = ["::before", "::after"].map((part) => getComputedStyle(element, part).boxShadow);
    const painted = element.tagName === "CANVAS" ? element.toDataURL() : "";
    return [...LOOKS.map((name) => own[name]), ...drawn, painted].join("|");
  }

  function stop(element) {
    const box = seen(element).getBoundingClientRect();
    const inSight = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    let down = 0;
    for (let at = parent(element); at; at = parent(at)) down += at.scrollTop;
    return {
      number: number(element),
      name: name(element).slice(0, 80),
      what: `${element.tagName.toLowerCase()} ${element.role ?? ""} in ${element.closest("[data-testid]")?.dataset.testid}`,
      box: [box.left, box.top + down, box.width, box.height],
      visible: box.width > 0 && box.height > 0 && inSight,
    };
  }

  function number(element) {
    if (!numbers.has(element)) numbers.set(element, ++count);
    return numbers.get(element);
  }

  function name(element) {
    const ids = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    const labels = [...ids.map((id) => element.getRootNode().getElementById(id)), ...(element.labels ?? [])];
    const told = [
      element.ariaLabel,
      element.closest("canvas") === element ? "" : element.closest("canvas") && `cell ${element.textContent}`,
      element.tagName === "CANVAS" ? region(element) : "", // one grid, inside the canvas
      labels.map((label) => label?.textContent).join(" "),
      element.getAttribute("alt"),
      element.tagName === "MAIN" ? "the page" : heard(element),
      element.title,
      element.placeholder,
      region(element), // what scrolls is told with what it is in
    ];
    return told.map((words) => (words ?? "").replace(/\s+/g, " ").trim()).find(Boolean) ?? "";
  }

  function region(element) {
    return element.closest('[role="region"]')?.ariaLabel;
  }

  function heard(element) {
    const copy = element.cloneNode(true);
    for (const hidden of copy.querySelectorAll('[aria-hidden="true"], [data-testid="stIconMaterial"], style')) hidden.remove();
    for (const part of copy.querySelectorAll("*")) part.append(" ");
    return copy.textContent;
  }

  function reset() {
    watched = [];
    before = [];
  }

  return { here, reset };
})();
