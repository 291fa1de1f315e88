// The label editor as a component of its own: what it saves goes through an acknowledged queue.

export default cardComponent(() => new EditorPanel());

class EditorPanel {
  constructor() {
    this.root = node("section", "label-panel card");
    this.root.setAttribute("aria-label", "Soft label");
    this.opening = keyButton("", "Edit the soft label");
    this.opening.querySelector("kbd").remove(); // only a click opens it: the page has no keys
    this.opening.addEventListener("click", () => this.open());
    this.status = node("span", "saved");
    this.status.setAttribute("role", "status");
    this.editor = new LabelEditor({ save: (edit) => this.save(edit), cancel: () => this.shut() });
    this.head = node("div", "head");
    this.head.append(this.opening, this.status);
    this.root.append(this.head, this.editor.root);
    this.shut();
  }

  get showing() {
    return this.data?.label.sample;
  }

  // The editor hears its own keys.
  knows() {
    return false;
  }

  takeKey() {
    return false;
  }

  close() {}

  receive(data, setStateValue) {
    if (this.queue?.scope !== data.scope) this.begin(data.scope);
    const before = this.data?.label;
    this.data = data;
    this.queue.acknowledge(data.acknowledged);
    this.queue.connect(setStateValue);
    if (before?.sample !== data.label.sample) this.forget();
    else if (this.waitsUntouched() && JSON.stringify(before) !== JSON.stringify(data.label)) this.openEditor();
    this.drawStatus();
  }

  begin(scope) {
    this.queue?.close();
    this.queue = new EventQueue("labels", scope);
    this.data = undefined;
  }

  // Opened, maybe before the server told what was saved just now; nothing is lost by showing that instead.
  waitsUntouched() {
    return !this.editor.root.hidden && this.editor.untouched;
  }

  forget() {
    this.saved = false;
    this.shut();
  }

  open() {
    this.openedAt = performance.now();
    this.editor.root.hidden = false;
    this.head.hidden = true;
    this.openEditor();
  }

  openEditor() {
    this.editor.open(this.data.label, this.data.class_names);
  }

  shut() {
    const focused = this.editor.root.contains(this.root.getRootNode().activeElement);
    this.editor.root.hidden = true;
    this.head.hidden = false;
    if (focused) this.opening.focus();
  }

  save(edit) {
    const seconds = Math.round(performance.now() - this.openedAt) / 1000;
    this.queue.add({ action: "soften", sample_id: this.data.label.sample, seconds, soft: edit });
    this.saved = true;
    this.shut();
    this.drawStatus();
  }

  drawStatus() {
    const { length } = this.queue;
    const { trouble } = this.data;
    this.status.className = trouble && length ? "saved trouble" : length ? "saved waiting" : "saved";
    this.status.hidden = !length && !this.saved;
    this.status.textContent = length ? `waiting to be saved${trouble ? `: ${trouble}` : ""}` : "saved";
  }
}
