// The PDF of the document: made at once where it is short, and followed while it is made where it is long.

import { Failure } from "./server.js";

const [EVERY, LAST_WAIT] = [1200, 30_000]; // milliseconds
const SECONDS = 40;
const WHY = {
  offline: "Portico cannot be reached",
  busy: "Portico is busy",
  "signed-out": "you are signed out. Sign in again in another tab",
  "someone-else": "somebody else is signed in in this browser",
  gone: "the document was deleted elsewhere",
};

export class Printing {
  #server;
  #url;
  #part;
  #button;
  #save;
  #aloud;
  #isMaking = false;
  #isOld = false; // the document was changed since
  #isThere; // a PDF that can be downloaded, if only an older one
  #failures = 0;
  #timer;

  /** `part` is the element of partials/pdf.html; `save` saves and returns whether it did; `aloud` is told what happened. */
  constructor({ server, id, part, button, save, aloud }) {
    this.#server = server;
    this.#url = `${server.document(id)}/pdf`;
    this.#part = part;
    this.#button = button;
    this.#save = save;
    this.#aloud = aloud;
    this.#isThere = part.querySelector("[data-link]").hasAttribute("data-there");
    if (["queued", "rendering"].includes(part.dataset.state)) this.#follow();
  }

  async make() {
    if (this.#isMaking) return;
    this.#isMaking = true;
    clearTimeout(this.#timer);
    this.#button.setAttribute("aria-busy", "true");
    try {
      this.#show("saving", "Saving the text first…");
      if (!(await this.#save())) return this.#fail("the text could not be saved");
      this.#show("asking", "Making the PDF…");
      this.#isOld = false;
      this.#answer(await this.#server.ask("POST", this.#url, { json: {}, seconds: SECONDS }));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.#fail(WHY[failure.kind] ?? failure.message, failure);
    } finally {
      this.#isMaking = false;
      this.#button.removeAttribute("aria-busy");
    }
  }

  /** The document is not what the PDF was made of any more. */
  changed() {
    this.#isOld = true;
    if (this.#part.dataset.state === "done") this.#show("old", "There is a PDF. The document has changed since.");
  }

  #answer({ State, Page, Pages, Message, Missing }) {
    this.#failures = 0;
    if (State === "done") {
      const words = `The PDF is made: ${Pages} page${Pages === 1 ? "" : "s"}.${this.#isOld ? " The document has changed since." : ""}`;
      this.#isThere = true;
      this.#show(this.#isOld ? "old" : "done", words, { missing: Missing });
      this.#aloud(words);
    } else if (State === "failed") this.#fail(Message);
    else {
      const words =
        State === "queued"
          ? Message || `About ${Pages} pages: the PDF is being made in the background. It waits for its turn.`
          : Page ? `Page ${Page} of about ${Math.max(Page, Pages)} is laid out.` : `About ${Pages} pages are being laid out.`;
      if (this.#part.dataset.state === "asking") this.#aloud(`About ${Pages} pages: the PDF is being made in the background.`);
      this.#show(State, words, { page: State === "queued" ? null : Page, pages: Math.max(Page, Pages) });
      this.#later(EVERY);
    }
  }

  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#follow(), milliseconds);
  }

  async #follow() {
    try {
      const answer = await this.#server.ask("GET", this.#url);
      if (!this.#isMaking) this.#answer(answer);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (!["offline", "busy"].includes(failure.kind)) return this.#fail(WHY[failure.kind] ?? failure.message);
      this.#failures++;
      this.#part.querySelector("[data-says]").textContent = "Portico cannot be reached. The PDF is being made all the same; trying again.";
      this.#later(Math.min(EVERY * 2 ** this.#failures, LAST_WAIT));
    }
  }

  #fail(why, { kind = "", reference = "" } = {}) {
    const words = `There is no new PDF: ${why.replace(/\.$/, "")}.${reference ? ` Reference: ${reference}` : ""}`;
    this.#show("failed", words, { canBeTried: kind !== "invalid" });
    this.#aloud(words);
  }

  #show(state, words, { page, pages, canBeTried = true, missing = [] } = {}) {
    const find = (name) => this.#part.querySelector(`[data-${name}]`);
    this.#part.dataset.state = state;
    this.#part.hidden = false;
    find("says").textContent = words;
    const bar = find("progress");
    bar.hidden = page === undefined;
    if (page) [bar.max, bar.value] = [pages, page];
    else bar.removeAttribute("value");
    // While another one is made, nobody takes the old one for it.
    find("link").hidden = !this.#isThere || !["done", "old", "failed"].includes(state);
    find("again").hidden = !(state === "failed" && canBeTried) && state !== "old";
    find("again").textContent = state === "old" ? "Make it again" : "Try again";
    const list = find("missing");
    list.hidden = !missing.length;
    list.querySelector("ul").replaceChildren(
      ...missing.map((path) => {
        const item = document.createElement("li");
        item.textContent = path;
        return item;
      }),
    );
  }
}
