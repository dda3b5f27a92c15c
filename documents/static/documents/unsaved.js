// On the list of documents: what is not saved and only in this browser, also of documents that are not there any more.

import { asked } from "./content.js";
import { kept } from "./draft.js";
import { dated } from "./notice.js";
import { Failure, Server } from "./server.js";

const MOST = 20;

export class Unsaved {
  #prefix;
  #server;
  #edit;
  #section;

  /** `person` is whose drafts, `home` and `edit` are addresses, and `section` is the part of home.html for them. */
  constructor({ person, home, edit, section }) {
    this.#prefix = `portico:draft:${person}:`;
    this.#server = new Server({ home, person, token: document.querySelector("[name=csrfmiddlewaretoken]").value });
    this.#edit = edit;
    this.#section = section;
  }

  /** Mark the documents of the list that have a draft. */
  mark() {
    const ids = new Set(this.#drafts().map(({ id }) => id));
    for (const item of document.querySelectorAll("[data-id]")) {
      if (!ids.has(item.dataset.id) || item.querySelector("[data-unsaved]")) continue;
      const mark = document.createElement("span");
      mark.className = "tag warm";
      mark.dataset.unsaved = "";
      mark.textContent = "unsaved text in this browser";
      item.querySelector(".document-facts").append(mark);
    }
  }

  /** Offer the drafts of documents that were deleted: nothing else leads to them. */
  async offer() {
    const listed = new Set([...document.querySelectorAll("[data-id]")].map((item) => item.dataset.id));
    const open = new Set((await navigator.locks?.query())?.held.map(({ name }) => name));
    const others = this.#drafts().filter(({ id, key }) => !listed.has(id) && !open.has(key));
    for (const draft of others.slice(0, MOST)) {
      if (await this.#isGone(draft.id)) this.#show(draft);
    }
  }

  #drafts() {
    return kept(this.#prefix).map((draft) => ({
      ...draft,
      id: decodeURIComponent(draft.key.slice(this.#prefix.length).split(":")[0]),
    }));
  }

  async #isGone(id) {
    try {
      await this.#server.ask("GET", this.#server.document(id));
      return false; // an older one, which its editor brings back
    } catch (failure) {
      return failure instanceof Failure && failure.kind === "gone";
    }
  }

  #show(draft) {
    const { content, at } = draft;
    const title = content.title || content.text.trim().split("\n")[0].replace(/^#+ /, "").slice(0, 80) || "Untitled";
    const item = document.createElement("li");
    item.className = "ends";
    const words = document.createElement("div");
    const name = document.createElement("span");
    name.className = "document-title";
    name.textContent = title;
    const when = document.createElement("p");
    when.className = "small soft";
    when.textContent = `Written ${dated(at)}`;
    words.append(name, when);
    const row = document.createElement("div");
    row.className = "row";
    const keep = button("Save as a new document", title, () => this.#keep(draft));
    const away = button("Throw away", title, () => {
      const text = localStorage.getItem(draft.key);
      localStorage.removeItem(draft.key);
      when.textContent = "Thrown away";
      const undo = button("Undo", title, () => {
        localStorage.setItem(draft.key, text);
        when.textContent = `Written ${dated(at)}`;
        row.replaceChildren(keep, away);
        keep.focus();
      });
      row.replaceChildren(undo);
      undo.focus();
    });
    row.append(keep, away);
    item.append(words, row);
    this.#section.querySelector("ul").append(item);
    this.#section.hidden = false;
  }

  async #keep({ key, content }) {
    try {
      const { Id } = await this.#server.ask("POST", this.#server.documents, { json: asked(content) });
      localStorage.removeItem(key);
      location.assign(this.#edit.replace("-id-", Id));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      const why = failure.message ? ` ${failure.message}` : "";
      this.#section.querySelector(".errorlist").textContent = `That did not work.${why} The text is still in this browser.`;
    }
  }
}

function button(words, about, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button quiet";
  const hidden = document.createElement("span");
  hidden.className = "hidden-text";
  hidden.textContent = ` ${about}`;
  made.append(words, hidden);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-busy")) return;
    made.setAttribute("aria-busy", "true");
    try {
      await act();
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}
