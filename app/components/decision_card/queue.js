// The decisions of a card that the server has not acknowledged yet.

class DecisionQueue extends EventQueue {
  constructor(scope) {
    super("decisions", scope);
  }

  // Samples whose latest waiting entry is a decision: they must not be shown again before the server knows.
  decided() {
    const latest = new Map(this.entries.map((entry) => [entry.sample_id, entry.action]));
    return new Set([...latest].filter(([, action]) => action !== "undo").map(([id]) => id));
  }
}
