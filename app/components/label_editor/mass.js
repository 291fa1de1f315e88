// The arithmetic of editing one soft label, as analysis/label_edits.py does it on the server.
//
// A distribution is a list p of k + 1 numbers: one for each listed class, and last what all other classes have together
// (the rest). ``fixed`` is a set of places in p that keep their value. Nothing here changes its arguments.

const mass = Object.freeze({
  sum(p) {
    return p.reduce((total, value) => total + value, 0);
  },

  // The places ``members`` together get ``value``, in the proportions they have; everything else that is not fixed shares
  // what is left in the proportions it has, or evenly where it has nothing.
  set(p, members, value, fixed = new Set()) {
    if (!members.length) return [...p];
    const held = new Set([...fixed].filter((i) => !members.includes(i)));
    const free = Math.max(1 - mass.sum(p.filter((_, i) => held.has(i))), 0);
    const others = p.map((_, i) => i).filter((i) => !held.has(i) && !members.includes(i));
    const wanted = others.length ? Math.min(Math.max(value, 0), free) : free;
    return mass.shared(mass.shared(p, members, wanted), others, free - wanted);
  },

  // The same without the others making room: the sum is then no longer 1.
  put(p, members, value) {
    return mass.shared(p, members, Math.min(Math.max(value, 0), 1));
  },

  // ``total`` over ``places``, in the proportions they have, or evenly where they have nothing.
  shared(p, places, total) {
    const before = mass.sum(places.map((i) => p[i]));
    const made = [...p];
    for (const i of places) made[i] = before > 0 ? (p[i] / before) * total : total / places.length;
    return made;
  },

  // ``amount`` from place ``a`` to place ``b``, at most what ``a`` has.
  move(p, a, b, amount) {
    const taken = Math.min(Math.max(amount, 0), p[a]);
    const made = [...p];
    made[a] -= taken;
    made[b] += taken;
    return made;
  },

  mix(p, q, weight) {
    return p.map((value, i) => (1 - weight) * value + weight * q[i]);
  },

  // p^(1/T), renormalised; the ``others`` classes of the rest count as equal ones.
  sharpen(p, temperature, others = 0) {
    const counts = p.map((_, i) => (i === p.length - 1 ? Math.max(others, 1) : 1));
    const each = p.map((value, i) => value / counts[i]);
    const largest = Math.max(...each);
    return mass.renormalise(each.map((value, i) => counts[i] * (value / largest) ** (1 / temperature)));
  },

  // ``p`` with the places ``held`` as they were in ``before``; everything else shares what they leave.
  hold(p, before, held) {
    const others = p.map((_, i) => i).filter((i) => !held.has(i));
    const kept = p.map((value, i) => (held.has(i) ? before[i] : value));
    const free = 1 - mass.sum([...held].map((i) => before[i]));
    return others.length ? mass.shared(kept, others, Math.max(free, 0)) : kept;
  },

  renormalise(p) {
    const total = mass.sum(p);
    return total > 0 ? p.map((value) => value / total) : [...p];
  },

  // What the classes that are not listed have together.
  rest(p) {
    return p[p.length - 1];
  },

  // Nats. ``restEntropy`` is that of the rest's own shape, by the chain rule of entropy.
  entropy(p, restEntropy = 0) {
    const own = p.reduce((total, value) => total - (value > 0 ? value * Math.log(value) : 0), 0);
    return own + mass.rest(p) * restEntropy;
  },

  // Half the sum of the differences: how much mass lies elsewhere.
  distance(p, q) {
    return mass.sum(p.map((value, i) => Math.abs(value - q[i]))) / 2;
  },
});
