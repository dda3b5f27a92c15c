// The preview: what the server makes of the text, a moment after it was typed. Typing never waits for it.

import { Failure } from "./server.js";

const REST = 250; // milliseconds without a key
const HIDDEN_REST = 2000;
const SECONDS = 15;
const FIRST_WAIT = 2000;
const LAST_WAIT = 60_000;
const SAYS = {
  offline: "Portico cannot be reached. This is how it was before.",
  busy: "Portico is busy. This is how it was before.",
  "signed-out": "You are signed out. This is how it was before.",
  "someone-else": "Somebody else is signed in here. This is how it was before.",
  "too-large": "The text is too long for a preview.",
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
  #shown = null; // the text that is shown
  #isAsking = false;
  #lasted = 0; // milliseconds that the last answer took
  #failures = 0;
  #timer;
  #missing = new Set(); // addresses of pictures that did not come

  /** `read` returns the text; `onAnswer({words, headings})` is told what else the answer says. */
  constructor({ server, url, id, pane, says, limit, read, onAnswer }) {
    this.#server = server;
    this.#url = url;
    this.#id = id;
    this.#pane = pane;
    this.#says = says;
    this.#limit = limit;
    this.#read = read;
    this.#onAnswer = onAnswer;
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
    if (text === this.#shown) return this.#fine();
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

  #show(text, answer) {
    this.#shown = text;
    this.#fine();
    const made = new DOMParser().parseFromString(answer.Html, "text/html").body;
    this.#prepare(made);
    patch(this.#pane, made);
    this.#onAnswer({ words: answer.Words, headings: answer.Headings });
  }

  #fine() {
    this.#failures = 0;
    this.#says.textContent = "";
  }

  #fail(failure) {
    if (!(failure instanceof Failure)) throw failure;
    this.#says.textContent = SAYS[failure.kind] ?? failure.message;
    this.#failures++;
    if (["offline", "busy"].includes(failure.kind)) {
      this.#later(Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LAST_WAIT));
    }
  }

  #prepare(made) {
    for (const link of made.querySelectorAll("a[href]:not([href^='#'])")) link.target = "_blank";
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
