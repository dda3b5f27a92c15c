// Text and preview scroll together: heading beside heading, and in proportion between them.

const MEASURED = 150_000; // characters; a longer text is taken as if all its lines were alike
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const ATX = /^ {0,3}#{1,6}(?=\s|$)\s*(.*?)\s*#*\s*$/;
const UNDERLINE = /^ {0,3}(=+|-+)\s*$/;

/** Return where the headings of a Markdown text are: {offset, key}. */
function headingsOf(text) {
  const found = [];
  let [offset, fence, above] = [0, "", null];
  for (const line of text.split("\n")) {
    const opening = FENCE.exec(line);
    if (fence) {
      if (opening && opening[1].startsWith(fence) && line.trim() === opening[1]) fence = "";
    } else if (opening) {
      fence = opening[1];
      above = null;
    } else if (ATX.test(line)) {
      found.push({ offset, key: keyOf(ATX.exec(line)[1]) });
      above = null;
    } else if (above && UNDERLINE.test(line)) {
      found.push(above);
      above = null;
    } else {
      above = line.trim() ? { offset, key: keyOf(line) } : null;
    }
    offset += line.length + 1;
  }
  return found;
}

// A heading without its markup: `*Two* [links](x)` is what the preview calls "Two links".
const keyOf = (text) =>
  text
    .replace(/\]\([^)]*\)|\{[^}]*\}\s*$|<[^>]*>/g, "")
    .replace(/[^\p{L}\p{N}]/gu, "")
    .toLowerCase();

/** Match the headings of the text with those of the preview, in order: [offset, id] pairs. */
function matched(text, headings) {
  const pairs = [];
  const keys = headings.map((heading) => keyOf(heading.Text));
  let from = 0;
  for (const { offset, key } of headingsOf(text)) {
    const at = keys.indexOf(key, from);
    if (at < 0) continue;
    pairs.push([offset, headings[at].Id]);
    from = at + 1;
  }
  return pairs;
}

export class Scrolling {
  #area;
  #pane;
  #ruler;
  #headings = [];
  #leader;
  #points = null;

  constructor(area, pane) {
    this.#area = area;
    this.#pane = pane;
    this.#leader = area;
    this.#ruler = document.createElement("div");
    this.#ruler.className = "ruler";
    this.#ruler.setAttribute("aria-hidden", "true");
    area.after(this.#ruler);
    for (const one of [area, pane]) {
      // What the other one does next follows from this one.
      for (const event of ["pointerdown", "wheel", "touchstart", "keydown", "focus"]) {
        one.addEventListener(event, () => (this.#leader = one), { passive: true });
      }
      one.addEventListener("scroll", () => this.#leader === one && this.#follow(), { passive: true });
    }
    new ResizeObserver(() => this.#forget()).observe(area);
    new ResizeObserver(() => this.#forget()).observe(pane);
    // Pictures come late and push down what is below them.
    pane.addEventListener("load", () => this.#forget(), true);
  }

  /** The preview shows a text with these headings now. */
  shown(headings) {
    this.#headings = headings;
    this.#forget();
    if (this.#leader === this.#area) this.#follow();
  }

  #forget() {
    this.#points = null;
  }

  #follow() {
    const [from, to] = this.#leader === this.#area ? [0, 1] : [1, 0];
    const other = to ? this.#pane : this.#area;
    this.#points ??= this.#measured();
    const top = this.#leader.scrollTop;
    const next = this.#points.findIndex((point) => point[from] > top);
    const [a, b] = next < 0 ? this.#points.slice(-2) : [this.#points[next - 1], this.#points[next]];
    const share = b[from] > a[from] ? Math.min(1, (top - a[from]) / (b[from] - a[from])) : 0;
    other.scrollTop = a[to] + share * (b[to] - a[to]);
  }

  // Pairs of scroll positions that belong together, rising.
  #measured() {
    const pairs = matched(this.#area.value, this.#headings);
    const tops = this.#tops(pairs.map(([offset]) => offset));
    const most = [this.#area, this.#pane].map((one) => Math.max(0, one.scrollHeight - one.clientHeight));
    const paneTop = this.#pane.getBoundingClientRect().top - this.#pane.scrollTop;
    const points = [[0, 0]];
    pairs.forEach(([, id], n) => {
      const heading = document.getElementById(id);
      if (!heading) return;
      const point = [tops[n], heading.getBoundingClientRect().top - paneTop];
      const last = points.at(-1);
      if (point[0] > last[0] && point[1] > last[1] && point[0] < most[0] && point[1] < most[1]) points.push(point);
    });
    return [...points, most];
  }

  // A textarea does not say where its lines are: an element of the same width and face does.
  #tops(offsets) {
    if (!offsets.length) return [];
    const text = this.#area.value;
    const height = this.#area.scrollHeight;
    if (text.length > MEASURED) return offsets.map((offset) => (height * offset) / text.length);
    this.#ruler.style.width = `${this.#area.clientWidth}px`;
    const marks = offsets.map((offset, n) => {
      const mark = document.createElement("span");
      mark.textContent = text.slice(offset, offsets[n + 1]);
      return mark;
    });
    this.#ruler.replaceChildren(text.slice(0, offsets[0]), ...marks);
    const tops = marks.map((mark) => mark.offsetTop);
    this.#ruler.replaceChildren();
    this.#ruler.style.width = "";
    return tops;
  }
}
