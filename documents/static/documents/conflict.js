// Two versions of one document, side by side, and what to do about them. Nothing is overwritten until somebody chose.

import { merged, rows } from "./differences.js";
import { dated, onPress } from "./notice.js";

const MOST_ROWS = 1000;
const NAMES = { title: "Title", theme: "Theme", paper: "Paper", cover: "Cover page", contents: "Table of contents" };
const words = (value) => (value === true ? "yes" : value === false ? "no" : value);

export class Conflict {
  #panel;
  #read;
  #theirs = null;
  #timer;

  /** `panel` is the section of edit.html, `read` returns this page's content, and `choices` has what each button does:
   * {mine, theirs, both}, each given {content, etag} as it is elsewhere. */
  constructor({ panel, read, choices }) {
    this.#panel = panel;
    this.#read = read;
    const act = (choose) => () => this.#theirs && choose(this.#theirs);
    onPress(panel, Object.fromEntries(Object.entries(choices).map(([name, choose]) => [name, act(choose)])));
  }

  /** Show the differences. Whoever is writing goes on writing: the focus stays there. */
  open(theirs, { area }) {
    this.#theirs = theirs;
    this.#panel.querySelector("[data-when]").textContent = theirs.at ? ` at ${dated(theirs.at)}` : "";
    this.#panel.hidden = false;
    this.#compare();
    if (document.activeElement !== area) this.#panel.querySelector("h2").focus();
  }

  close() {
    clearTimeout(this.#timer);
    this.#theirs = null;
    this.#panel.hidden = true;
  }

  /** The content of this page changed. */
  changed() {
    if (!this.#theirs) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#compare(), 500);
  }

  #compare() {
    const [mine, theirs] = [this.#read(), this.#theirs.content];
    const made = [];
    for (const [name, label] of Object.entries(NAMES)) {
      if (mine[name] !== theirs[name]) made.push(row("changed", `${label}: ${words(mine[name])}`, `${label}: ${words(theirs[name])}`));
    }
    const all = mine.text === theirs.text ? [] : rows(mine.text, theirs.text);
    for (const one of all.slice(0, MOST_ROWS)) {
      made.push(one.kind === "skipped" ? note(`${one.lines} lines are the same`) : row(one.kind, one.mine, one.theirs));
    }
    if (all.length > MOST_ROWS) made.push(note(`${all.length - MOST_ROWS} more lines`));
    this.#panel.querySelector("tbody").replaceChildren(...made);
  }
}

function row(kind, mine, theirs) {
  const made = document.createElement("tr");
  made.className = kind;
  for (const [name, text, tag] of [["Yours", mine, "ins"], ["Elsewhere", theirs, "del"]]) {
    const cell = made.insertCell();
    cell.dataset.title = name;
    if (text === undefined) cell.className = "none";
    else {
      const shown = document.createElement(kind === "same" ? "span" : tag);
      shown.textContent = text || " ";
      cell.append(shown);
    }
  }
  return made;
}

function note(text) {
  const made = document.createElement("tr");
  made.className = "skipped";
  const cell = made.insertCell();
  cell.colSpan = 2;
  cell.textContent = text;
  return made;
}

/** Return both contents as one that is to be put right by hand, and where in its text to begin. */
export function both(mine, theirs) {
  if (mine.text === theirs.text) return { content: mine, at: 0 };
  const { text, at } = merged(mine.text, theirs.text);
  return { content: { ...mine, text }, at };
}
