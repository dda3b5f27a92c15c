// What differs between two texts, line by line, and the two of them as one.
// Reference: E. W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1 (1986).

const MOST_EDITS = 1500; // beyond it, everything between the first and the last difference counts as different
const AROUND = 2; // lines that are shown around a difference

/** Return the parts of two texts in order: {same: lines} or {mine: lines, theirs: lines}. */
export function parts(mine, theirs) {
  const [a, b] = [mine.split("\n"), theirs.split("\n")];
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first++;
  let last = 0;
  const most = Math.min(a.length, b.length) - first;
  while (last < most && a[a.length - 1 - last] === b[b.length - 1 - last]) last++;
  const [left, right] = [a.slice(first, a.length - last), b.slice(first, b.length - last)];
  const middle = edits(left, right) ?? [{ mine: left, theirs: right }];
  return [{ same: a.slice(0, first) }, ...middle, { same: a.slice(a.length - last) }].filter((part) =>
    part.same ? part.same.length : part.mine.length || part.theirs.length,
  );
}

function edits(a, b) {
  const trail = shortest(a, b);
  if (!trail) return null;
  const found = [];
  const add = (name, line) => {
    const part = found.at(-1);
    if (name === "same") {
      if (part?.same) part.same.unshift(line);
      else found.push({ same: [line] });
    } else if (part?.mine) part[name].unshift(line);
    else found.push({ mine: [], theirs: [], [name]: [line] });
  };
  let [x, y] = [a.length, b.length];
  for (let d = trail.length - 1; d >= 0; d--) {
    const reach = (k) => trail[d][k + d + 1] ?? -1;
    const k = x - y;
    const before = k === -d || (k !== d && reach(k - 1) < reach(k + 1)) ? k + 1 : k - 1;
    const fromX = d ? reach(before) : 0;
    const fromY = d ? fromX - before : 0;
    while (x > fromX && y > fromY) {
      add("same", a[--x]);
      y--;
    }
    if (d) {
      if (x === fromX) add("theirs", b[--y]);
      else add("mine", a[--x]);
    }
  }
  return found.reverse();
}

// How far each diagonal reaches with each number of edits, or null where there are too many.
function shortest(a, b) {
  const trail = [];
  let reached = new Int32Array(3).fill(-1);
  reached[2] = 0;
  for (let d = 0; d <= Math.min(a.length + b.length, MOST_EDITS); d++) {
    trail.push(reached);
    const next = new Int32Array(2 * d + 5).fill(-1); // diagonal k is at k + d + 2
    for (let k = -d; k <= d; k += 2) {
      const [below, above] = [reached[k + d] ?? -1, reached[k + d + 2] ?? -1];
      let x = k === -d || (k !== d && below < above) ? above : below + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next[k + d + 2] = x;
      if (x >= a.length && x - k >= b.length) return trail;
    }
    reached = next;
  }
  return null;
}

/** Return rows for two columns: {mine, theirs, kind: "same" | "changed"} or {kind: "skipped", lines}. */
export function rows(mine, theirs) {
  const all = parts(mine, theirs);
  return all.flatMap((part, n) => {
    if (!part.same) {
      const { length } = part.mine.length > part.theirs.length ? part.mine : part.theirs;
      return Array.from({ length }, (_, line) => ({ kind: "changed", mine: part.mine[line], theirs: part.theirs[line] }));
    }
    const shown = (lines) => lines.map((line) => ({ kind: "same", mine: line, theirs: line }));
    const before = n === 0 ? 0 : AROUND;
    const after = n === all.length - 1 ? 0 : AROUND;
    const skipped = part.same.length - before - after;
    if (skipped < 2) return shown(part.same);
    return [...shown(part.same.slice(0, before)), { kind: "skipped", lines: skipped }, ...shown(after ? part.same.slice(-after) : [])];
  });
}

/** Return both texts as one, with the lines that differ between marks, and where the first of them is. */
export function merged(mine, theirs) {
  const lines = [];
  let first = -1;
  for (const part of parts(mine, theirs)) {
    if (part.same) lines.push(...part.same);
    else {
      if (first < 0) first = lines.length;
      lines.push("<<<<<<< mine", ...part.mine, "=======", ...part.theirs, ">>>>>>> saved");
    }
  }
  const text = lines.join("\n");
  return { text, at: first < 0 ? 0 : lines.slice(0, first).join("\n").length + (first ? 1 : 0) };
}
