// The preview: what the server makes of the text, a moment after it was typed. Typing never waits for it.

import { Failure } from "./server.js";

const REST = 250; // milliseconds without a key
const HIDDEN_REST = 2000;
const SECONDS = 15;
const FIRST_WAIT = 2000;
const LAST_WAIT = 60_000;
const BEFORE = "This is how it was before.";
const SAYS = {
  offline: `Portico cannot be reached. ${BEFORE}`,
  busy: `Portico is busy. ${BEFORE}`,
  "signed-out": `You are signed out. ${BEFORE}`,
  "someone-else": `Somebody else is signed in here. ${BEFORE}`,
  "too-large": `The text is too long for a preview. ${BEFORE}`,
};

export class Preview {
  #server;
  #url;
  #id;
  #pane;
  #says;
  #read;
  #limit;
  #onAnswer;
  #onFailure;
  #shown = null; // the text that is shown
  #answer = null; // what else was said of it
  #isAsking = false;
  #lasted = 0; // milliseconds that the last answer took
  #failures = 0;
  #timer;
  #missing = new Set(); // addresses of pictures that did not come

  /** `read` returns the text; `onAnswer({words, headings})` is told what else the answer says, `onFailure` that there is
   * none for this text. */
  constructor({ server, url, id, pane, says, limit, read, onAnswer, onFailure }) {
    this.#server = server;
    this.#url = url;
    this.#id = id;
    this.#pane = pane;
    this.#says = says;
    this.#limit = limit;
    this.#read = read;
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
    pane.addEventListener("error", (event) => this.#miss(event.target), true);
    pane.addEventListener("click", (event) => this.#follow(event));
  }

  /** The text changed, or the pane came into sight. */
  changed() {
    const rest = this.#pane.offsetParent ? Math.max(REST, this.#lasted) : HIDDEN_REST;
    this.#later(rest);
  }

  /** Ask for pictures anew that were not there. */
  lookForPictures() {
    this.#missing.clear();
    this.#shown = null;
    this.changed();
  }

  /** Ask again where something passing was in the way. */
  again() {
    if (this.#failures) this.#later(0);
  }

  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), milliseconds);
  }

  // One at a time: so no answer can overtake a later one.
  async #ask() {
    const text = this.#read();
    if (this.#isAsking) return;
    if (text === this.#shown) return this.#fineAgain();
    if (!text.trim()) return this.#show(text, { Html: "", Words: 0, Headings: [] });
    this.#isAsking = true;
    const began = performance.now();
    try {
      if (new Blob([text]).size > this.#limit) throw new Failure("too-large");
      const answer = await this.#server.ask("POST", this.#url, { json: { Text: text, Id: this.#id }, seconds: SECONDS });
      this.#lasted = performance.now() - began;
      this.#show(text, answer);
    } catch (failure) {
      this.#fail(failure);
    } finally {
      this.#isAsking = false;
    }
    if (!this.#failures && this.#read() !== text) this.changed();
  }

  #fineAgain() {
    if (this.#failures) this.#onAnswer(this.#answer);
    this.#fine();
  }

  #show(text, answer) {
    this.#shown = text;
    this.#answer = { words: answer.Words, headings: answer.Headings };
    this.#fine();
    const made = new DOMParser().parseFromString(answer.Html, "text/html").body;
    this.#prepare(made);
    patch(this.#pane, made);
    this.#onAnswer(this.#answer);
  }

  #fine() {
    this.#failures = 0;
    delete this.#pane.dataset.old;
    this.#says.textContent = "";
  }

  #fail(failure) {
    if (!(failure instanceof Failure)) throw failure;
    const why = SAYS[failure.kind] ?? `${failure.message} ${BEFORE}`;
    this.#says.textContent = this.#pane.hasChildNodes() ? why : why.replace(BEFORE, "").trim();
    this.#pane.dataset.old = "";
    this.#onFailure();
    this.#failures++;
    if (["offline", "busy"].includes(failure.kind)) {
      this.#later(Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LAST_WAIT));
    }
  }

  #prepare(made) {
    for (const link of made.querySelectorAll("a[href]:not([href^='#'])")) link.target = "_blank";
    for (const table of made.querySelectorAll("table")) scrolling(table);
    for (const task of made.querySelectorAll("input")) task.setAttribute("aria-label", task.checked ? "Done" : "To do");
    for (const picture of made.querySelectorAll("img[src]")) {
      if (this.#missing.has(picture.getAttribute("src"))) picture.replaceWith(missing(picture));
    }
  }

  #miss(picture) {
    if (picture.localName !== "img") return;
    this.#missing.add(picture.getAttribute("src"));
    picture.replaceWith(missing(picture));
  }

  // Within the pane, and without a new entry in the browser's history.
  #follow(event) {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    event.preventDefault();
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (target && this.#pane.contains(target)) target.scrollIntoView({ block: "nearest" });
  }
}

// A wide table scrolls by itself, also by keys.
function scrolling(table) {
  const box = document.createElement("div");
  box.className = "wide";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Table");
  table.replaceWith(box);
  box.append(table);
}

function missing(picture) {
  const note = document.createElement("span");
  note.className = "missing";
  const alt = picture.getAttribute("alt");
  note.textContent = `This picture is not there${alt ? `: ${alt}` : ""}. Upload it to show it.`;
  return note;
}

/** Put what is new in place of what was, and leave alone what is the same at both ends: pictures would blink. */
function patch(pane, made) {
  const [was, now] = [[...pane.childNodes], [...made.childNodes]];
  let first = 0;
  while (first < was.length && first < now.length && was[first].isEqualNode(now[first])) first++;
  let last = 0;
  const most = Math.min(was.length, now.length) - first;
  while (last < most && was[was.length - 1 - last].isEqualNode(now[now.length - 1 - last])) last++;
  const next = was[was.length - last] ?? null;
  for (const old of was.slice(first, was.length - last)) old.remove();
  const fresh = document.createDocumentFragment();
  fresh.append(...now.slice(first, now.length - last));
  pane.insertBefore(fresh, next);
}
