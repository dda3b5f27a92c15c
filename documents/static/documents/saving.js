// How what is written comes to the server: after a rest, one save at a time, again where it failed, never over
// something that this page has not seen.

import { answered, asked, fingerprint, same } from "./content.js";
import { Failure } from "./server.js";

const REST = 1500; // milliseconds without a key
const LONGEST = 10_000; // that a text waits while keys go on
const DRAFT = 250;
const [FIRST_WAIT, LAST_WAIT] = [2000, 60_000];
const MAY_HAVE_ARRIVED = ["offline", "busy"];
// Further keys change nothing about these: a timer tries again, or somebody did something and comes back to this tab.
const WAITS = [...MAY_HAVE_ARRIVED, "signed-out", "someone-else", "gone"];
const KEEPALIVE_BYTES = 40_000; // browsers send 64 kB of JSON for a page that is gone

// First lines that say title and look are taken out of the text when it is stored.
const FIRST_LINES = /^---[ \t]*\n(?:.*\n){0,65}?---[ \t]*\n$/;
const isWithoutFirstLines = (stored, sent) =>
  sent.text.endsWith(stored.text) && FIRST_LINES.test(sent.text.slice(0, sent.text.length - stored.text.length));

export class Saving {
  #server;
  #id;
  #read;
  #adopt;
  #draft;
  #limit;
  #tell;
  #etag;
  #content; // as the server has it under that ETag
  #lost = new Set(); // fingerprints of what was sent and may have arrived
  #isHeld = false; // until somebody has decided between two versions
  #failure = null;
  #running = null;
  #since = 0;
  #wait = FIRST_WAIT;
  #timer;
  #draftTimer;
  #draftAt = 0;
  #writtenAt = Date.now();

  /** `read` returns the content; `adopt(sent, stored)` brings what the server made of it into the page, as far as nobody
   * has changed it since; `tell(state, failure)` shows "saved", "waiting", "saving"
   * or "failed". */
  constructor({ server, id, etag, content, savedAt, draft, limit, read, adopt, tell }) {
    this.savedAt = savedAt;
    this.#server = server;
    this.#id = id;
    this.#etag = etag;
    this.#content = content;
    this.#draft = draft;
    this.#limit = limit;
    this.#read = read;
    this.#adopt = adopt;
    this.#tell = tell;
  }

  get isSaved() {
    return this.#lost.size === 0 && same(this.#read(), this.#content);
  }

  /** What the server has, as far as this page knows. */
  get known() {
    return { etag: this.#etag, content: this.#content };
  }

  /** Whether the text would be lost with the page. */
  get isInDanger() {
    return !this.#draft.isKept && !this.isSaved;
  }

  /** Something was written. */
  changed() {
    this.#writtenAt = Date.now();
    this.#keepSoon();
    if (this.#isHeld) return;
    if (this.isSaved && !this.#running) return void this.#settle();
    if (this.#failure && WAITS.includes(this.#failure.kind)) return;
    const now = Date.now();
    this.#since ||= now;
    if (!this.#running && !this.#failure) this.#tell("waiting");
    this.#later(Math.max(0, Math.min(REST, this.#since + LONGEST - now)));
  }

  /** Save now, and again what was written meanwhile; return whether everything is saved. */
  async now() {
    for (let tries = 0; tries < 3; tries++) {
      if (!(await this.#once()) || this.isSaved) break;
    }
    return this.isSaved && !this.#isHeld;
  }

  /** Try again where something passing was in the way. */
  again() {
    if (this.#failure && !this.#isHeld) this.#once();
  }

  /** The page is being left, or put aside. */
  leave() {
    this.#draftNow();
    if (!this.#failure && !this.isSaved) this.#once({ isLeaving: true });
  }

  /** Go on from another version of the document, which was seen. */
  begin(etag, content) {
    this.#etag = etag;
    this.#content = content;
    this.#lost.clear();
    this.#isHeld = false;
    this.#failure = null;
    this.#wait = FIRST_WAIT;
    this.#draftNow();
  }

  /** Hold everything until `begin`: what the server has needs a decision. `etag` is what this text was begun from. */
  hold(failure, etag = this.#etag) {
    this.#isHeld = true;
    this.#etag = etag;
    clearTimeout(this.#timer);
    this.#draftNow();
    this.#tell("failed", failure);
  }

  /** Know again what a draft knew: what was sent without an answer. */
  remember(lost) {
    for (const one of lost ?? []) this.#lost.add(one);
  }

  /** Tell whether a content can be one that this draft sent without hearing of it again. */
  sent(content) {
    return this.#lost.has(fingerprint(content));
  }

  async #once(options) {
    while (this.#running) await this.#running;
    if (this.#isHeld) return false;
    this.#running = this.#save(options);
    try {
      return await this.#running;
    } finally {
      this.#running = null;
    }
  }

  async #save({ isLeaving = false } = {}) {
    clearTimeout(this.#timer);
    this.#since = 0;
    if (this.isSaved) return this.#settle();
    const content = this.#read();
    const bytes = new Blob([content.text]).size;
    if (bytes > this.#limit) return this.#failed(new Failure("too-large"));
    const print = fingerprint(content);
    const isNew = !this.#lost.has(print);
    this.#lost.add(print);
    this.#draftNow();
    this.#tell("saving");
    try {
      const saved = await this.#server.ask("PUT", this.#server.document(this.#id), {
        json: asked(content),
        headers: { "If-Match": `"${this.#etag}"` },
        keepalive: isLeaving && bytes < KEEPALIVE_BYTES,
      });
      // First lines that say title and look are in their fields now.
      const stored = saved.Text == null ? content : { ...answered(saved), text: saved.Text };
      this.begin(saved.ETag, stored);
      this.savedAt = Date.now();
      if (stored !== content) this.#adopt(content, stored);
    } catch (failure) {
      if (failure.kind === "conflict") return this.#met(failure, content, isNew);
      if (isNew && !MAY_HAVE_ARRIVED.includes(failure.kind)) this.#lost.delete(print);
      return this.#failed(failure);
    }
    if (this.isSaved) return this.#settle();
    this.#since = Date.now();
    this.#tell("waiting");
    this.#later(REST);
    return true;
  }

  #settle() {
    clearTimeout(this.#timer);
    this.#since = 0;
    this.#failure = null;
    this.#draftNow();
    this.#tell("saved");
    return true;
  }

  // Somebody else's version is there, or one of this page's own whose answer never came.
  #met(failure, content, isNew) {
    const current = failure.answer.Current;
    if (!current) return this.#failed(new Failure("refused", "what is there now is not Markdown", failure));
    const theirs = { content: answered(current), etag: current.ETag, at: current.ModifiedAt };
    const isOurs = same(theirs.content, content) || this.sent(theirs.content);
    const isWhatBecameOfIt = !isNew && isWithoutFirstLines(theirs.content, content);
    if (!isOurs && !isWhatBecameOfIt) {
      this.hold(Object.assign(failure, { theirs }));
      return false;
    }
    this.begin(theirs.etag, theirs.content);
    this.savedAt = theirs.at;
    if (isWhatBecameOfIt && !isOurs) this.#adopt(content, theirs.content);
    if (this.isSaved) return this.#settle();
    this.#later(0);
    return true;
  }

  #failed(failure) {
    this.#failure = failure;
    if (MAY_HAVE_ARRIVED.includes(failure.kind)) {
      this.#later(Math.max(failure.wait, this.#wait));
      this.#wait = Math.min(2 * this.#wait, LAST_WAIT);
    }
    this.#tell("failed", failure);
    return false;
  }

  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#once(), milliseconds);
  }

  #keepSoon() {
    clearTimeout(this.#draftTimer);
    const wait = this.#draftAt + DRAFT - Date.now();
    if (wait <= 0) this.#draftNow();
    else this.#draftTimer = setTimeout(() => this.#draftNow(), wait);
  }

  #draftNow() {
    clearTimeout(this.#draftTimer);
    this.#draftAt = Date.now();
    if (this.isSaved && !this.#isHeld) this.#draft.forget();
    else this.#draft.keep({ content: this.#read(), etag: this.#etag, lost: [...this.#lost], at: this.#writtenAt });
  }
}
