// What was not saved when the page was closed, and is back: it can be thrown away, and brought back once more.

import { read, write } from "./content.js";
import { dated } from "./notice.js";
import { apply } from "./writing.js";

const NOT_POSSIBLE = "It is part of what was written since, so it stays";

export class Restored {
  #note;
  #form;
  #onSwap;
  #has; // what came with the draft, or what takes its place
  #other;
  #isBack = true;
  #isSaved = false;
  #isWritten = false;

  /** `note` is the bar of edit.html; `onSwap` is told that the form holds something else. */
  constructor({ note, form, onSwap }) {
    this.#note = note;
    this.#form = form;
    this.#onSwap = onSwap;
    note.querySelector("button").addEventListener("click", () => this.#swap());
  }

  /** `kept` is in the form now, in place of what the server has. */
  show(kept, served, at) {
    [this.#has, this.#other] = [kept, served];
    this.#note.querySelector("time").textContent = dated(at);
    this.#tell("is back");
  }

  /** Everything is saved. */
  saved() {
    this.#isSaved = true;
    this.#passes();
  }

  /** Somebody wrote on. */
  written() {
    this.#isWritten = true;
    this.#passes();
  }

  #passes() {
    if (this.#isSaved && this.#isWritten) this.#note.hidden = true;
  }

  #tell(what) {
    [this.#isSaved, this.#isWritten] = [false, false];
    this.#note.hidden = false;
    this.#note.querySelector("[data-what]").textContent = what;
    this.#note.querySelector("button").textContent = this.#isBack ? "Throw it away" : "Bring it back";
  }

  #swap() {
    const now = read(this.#form);
    const change = exchanged(this.#has.text, this.#other.text, now.text);
    if (!change) {
      this.#note.querySelector("[data-what]").textContent = `is back. ${NOT_POSSIBLE}`;
      this.#note.querySelector("button").hidden = true;
      return;
    }
    const fields = Object.entries(now).map(([name, value]) => [name, value === this.#has[name] ? this.#other[name] : value]);
    apply(this.#form.elements.text, change);
    write(this.#form, { ...Object.fromEntries(fields), text: this.#form.elements.text.value });
    [this.#has, this.#other] = [this.#other, this.#has];
    this.#isBack = !this.#isBack;
    this.#tell(this.#isBack ? "is back" : "is thrown away");
    this.#onSwap();
  }
}

/** Return the change that puts what `other` has into `now` in place of what `has` has there, and leaves alone what was
 * written before or behind it; null where it was written into. */
export function exchanged(has, other, now) {
  const [from, to, otherTo] = region(has, other);
  const insert = other.slice(from, otherTo);
  if (now.startsWith(has.slice(0, to))) return put(from, to, insert);
  const moved = now.length - has.length;
  return now.endsWith(has.slice(from)) ? put(from + moved, to + moved, insert) : null;
}

const put = (from, to, insert) => ({ from, to, insert, start: from + insert.length, end: from + insert.length });

// Where two texts differ: from, to in the one, to in the other.
function region(one, other) {
  const most = Math.min(one.length, other.length);
  let from = 0;
  while (from < most && one[from] === other[from]) from++;
  let same = 0;
  while (same < most - from && one[one.length - 1 - same] === other[other.length - 1 - same]) same++;
  return [from, one.length - same, other.length - same];
}
