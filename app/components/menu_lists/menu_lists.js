const watchers = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  if (!watchers.has(parentElement)) watchers.set(parentElement, watch());
  return () => {
    watchers.get(parentElement)?.disconnect();
    watchers.delete(parentElement);
  };
}

function watch() {
  const sidebar = document.querySelector('[data-testid="stSidebar"]');
  const watcher = new MutationObserver(() => mend(sidebar));
  if (sidebar) {
    mend(sidebar);
    watcher.observe(sidebar, { childList: true, subtree: true });
  }
  return watcher;
}

function mend(sidebar) {
  const menu = sidebar.querySelector('[data-testid="stSidebarNavItems"]');
  const sections = [...(menu?.children ?? [])].filter((child) => child.querySelector("header"));
  if (!sections.length || sections.every((section) => section.role === "list")) return;
  menu.role = "presentation";
  for (const section of sections) {
    const header = section.querySelector("header");
    const name = header.querySelector('[data-testid="stMarkdownContainer"]').textContent;
    section.role = "list";
    section.ariaLabel = name;
    header.ariaHidden = "true"; // the list has its name already
  }
}
