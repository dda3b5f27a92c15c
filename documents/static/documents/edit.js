// The editor's page: the text and its preview, and everything that keeps the text from being lost.

import { Conflict, both } from "./conflict.js";
import * as content from "./content.js";
import { open } from "./draft.js";
import { Notice } from "./notice.js";
import { Pictures } from "./pictures.js";
import { Preview } from "./preview.js";
import { Printing } from "./printing.js";
import { Restored } from "./restored.js";
import { Saving } from "./saving.js";
import { Scrolling } from "./scrolling.js";
import { Failure, Server } from "./server.js";
import { listen } from "./toolbar.js";

const WORDS_A_MINUTE = 230;
const element = (id) => document.getElementById(id);

const form = element("editor");
const area = form.elements.text;
const { id, person, home, modified } = form.dataset;
const limits = { bytes: Number(form.dataset.bytes), pictureBytes: Number(form.dataset.pictureBytes) };
const server = new Server({ home, person, token: form.elements.csrfmiddlewaretoken.value });
// What somebody typed before this ran stays in the fields, as a change to this.
const atFirst = { ...content.served(form), etag: form.elements.etag.value };

// Keys are held back for the moment in which a draft is looked for.
area.readOnly = true;
const { draft, found, left } = await open(`portico:draft:${person}:${encodeURIComponent(id)}:`);

const read = () => {
  const all = content.read(form);
  return { ...all, text: pictures.without(all.text) };
};

const notice = new Notice({
  state: element("saved"),
  problem: element("problem"),
  aloud: element("aloud"),
  acts: { again: () => saving.now(), anew: saveAnew },
});

const saving = new Saving({
  server,
  id,
  etag: atFirst.etag,
  content: atFirst,
  savedAt: modified,
  draft,
  limit: limits.bytes,
  read: () => read(),
  adopt(sent, stored) {
    if (!content.adopt(form, sent, stored)) return;
    showTitle();
    preview.changed();
    tell("The first lines said title or look. They are in those fields now.");
  },
  tell(state, failure) {
    notice.tell(state, failure, { isKept: draft.isKept, at: saving.savedAt });
    if (state === "saved") {
      restored.saved();
      putBackNext();
    }
    if (failure?.kind === "conflict") conflict.open(failure.theirs, { area });
  },
});

const restored = new Restored({
  note: element("restored"),
  form,
  onSwap() {
    showTitle();
    changed();
  },
});

const scrolling = new Scrolling(area, element("preview"));
const preview = new Preview({
  server,
  url: form.dataset.preview,
  id,
  pane: element("preview"),
  says: element("preview-says"),
  limit: limits.bytes,
  read: () => read().text,
  onAnswer({ words, headings }) {
    const count = `${words.toLocaleString(document.documentElement.lang)} ${words === 1 ? "word" : "words"}`;
    element("words").textContent = words ? `${count} · ${Math.ceil(words / WORDS_A_MINUTE)} min` : count;
    nameAfter(headings);
    scrolling.shown(headings);
  },
  onFailure() {
    element("words").textContent = "";
  },
});

const pictures = new Pictures({
  server,
  url: form.dataset.images,
  id,
  area,
  limit: limits.pictureBytes,
  onEnd(failed) {
    tell(failed.join(" "), { isError: true });
    if (!failed.length) notice.say("The picture is in the text.");
    preview.lookForPictures();
  },
});

const printing = new Printing({
  server,
  id,
  part: element("pdf"),
  button: element("make-pdf"),
  save: () => saving.now(),
  aloud: (words) => notice.say(words),
});

const conflict = new Conflict({
  panel: element("conflict"),
  read: () => read(),
  choices: {
    mine(theirs) {
      goOnFrom(theirs);
      return saving.now();
    },
    async theirs(theirs) {
      const mine = read();
      const title = `${mine.title || shownTitle()} (my copy)`;
      try {
        const copy = await server.ask("POST", server.documents, { json: content.asked({ ...mine, title }) });
        content.write(form, theirs.content);
        goOnFrom(theirs);
        changed();
        tellOfCopy(copy);
      } catch (failure) {
        if (!(failure instanceof Failure)) throw failure;
        element("conflict-says").textContent = `Your version could not be stored as a copy, so nothing was changed. ${failure.message}`;
      }
    },
    both(theirs) {
      const { content: one, at } = both(read(), theirs.content);
      content.write(form, one);
      goOnFrom(theirs);
      area.focus();
      area.setSelectionRange(at, at);
      changed();
      notice.say("Both versions are in the text. Keep what you want of the lines between the marks.");
    },
  },
});

function goOnFrom(theirs) {
  element("conflict-says").textContent = "";
  conflict.close();
  saving.begin(theirs.etag, theirs.content);
  saving.savedAt = theirs.at;
}

function tellOfCopy({ Id, Title }) {
  const note = element("kept");
  const link = note.querySelector("a");
  link.href = form.dataset.edit.replace("-id-", Id);
  link.textContent = Title;
  note.hidden = false;
}

async function saveAnew() {
  try {
    const { Id } = await server.ask("POST", server.documents, { json: content.asked(read()) });
    draft.forget();
    leaving.abort();
    location.assign(form.dataset.edit.replace("-id-", Id));
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    notice.say("That did not work. Try again.");
  }
}

// --- What was not saved -----------------------------------------------------------------------------------------------

function putBack(kept) {
  if (content.same(kept.content, atFirst)) return;
  content.write(form, kept.content);
  saving.remember(kept.lost);
  if (kept.etag !== atFirst.etag && !saving.sent(atFirst)) {
    meet(kept.etag, { content: atFirst, etag: atFirst.etag, at: modified });
    return;
  }
  restored.show(kept.content, atFirst, kept.at);
}

function meet(etag, theirs) {
  saving.hold(Object.assign(new Failure("conflict"), { theirs }), etag);
}

// Another tab was closed with unsaved text, too: it is compared once this one's is saved.
function putBackNext() {
  const next = left.shift();
  if (!next) return;
  const theirs = { ...saving.known, at: Date.now() };
  if (!content.same(next.content, theirs.content)) {
    content.write(form, next.content);
    meet(next.etag, theirs);
    preview.changed();
  }
  next.draft.forget();
}

// --- What the page listens to -----------------------------------------------------------------------------------------

function changed() {
  saving.changed();
  preview.changed();
  conflict.changed();
  if (!saving.isSaved) printing.changed();
}

// A line above the text, until somebody writes on.
function tell(words, { isError = false } = {}) {
  const line = element("text-says");
  line.textContent = words;
  line.classList.toggle("errorlist", isError);
  if (words) notice.say(words);
}

const shownTitle = () => form.elements.title.value.trim() || form.elements.title.placeholder;

// A document without a title is called by its first heading.
function nameAfter(headings) {
  const first = headings.find(({ Level }) => Level === 1) ?? headings[0];
  form.elements.title.placeholder = first?.Text || "Untitled";
  showTitle();
}

function showTitle() {
  element("heading").textContent = shownTitle();
  document.title = `${shownTitle()} · Portico`;
}

const leaving = new AbortController();
const { signal } = leaving;
form.addEventListener("input", changed);
form.addEventListener("input", ({ isTrusted }) => {
  if (!isTrusted) return;
  restored.written();
  if (element("text-says").textContent) tell("");
});
form.elements.title.addEventListener("input", showTitle);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  saving.now();
  // The Enter key in the title.
  if (document.activeElement === form.elements.title) area.focus();
});
const seen = () => (document.visibilityState === "hidden" ? saving.leave() : tryAgain());
document.addEventListener("visibilitychange", seen, { signal });
addEventListener("pagehide", () => saving.leave(), { signal });
for (const moment of ["online", "focus"]) addEventListener(moment, tryAgain);
const isInDanger = () => saving.isInDanger || pictures.areUnderWay;
addEventListener("beforeunload", (event) => isInDanger() && event.preventDefault(), { signal });

function tryAgain() {
  saving.again();
  preview.again();
}

// More than a document holds would keep the browser busy for long.
area.addEventListener("paste", (event) => {
  const { length } = event.clipboardData.getData("text");
  if (area.value.length + length <= limits.bytes) return;
  event.preventDefault();
  const most = limits.bytes.toLocaleString(document.documentElement.lang);
  tell(`That is more text than a document holds, ${most} bytes. Nothing was inserted.`, { isError: true });
});

const chooser = element("choose-pictures");
chooser.addEventListener("change", () => {
  pictures.add(chooser.files);
  chooser.value = "";
});

element("make-pdf").form.addEventListener("submit", (event) => {
  event.preventDefault();
  printing.make();
});

element("duplicate-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await saving.now()) event.target.submit();
});

for (const button of form.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => {
    form.dataset.view = button.dataset.view;
    for (const one of form.querySelectorAll("button[data-view]")) one.setAttribute("aria-pressed", String(one === button));
    preview.changed();
  });
}

listen({
  bar: element("toolbar"),
  area,
  acts: {
    picture: () => chooser.click(),
    save: () => saving.now().then((isDone) => isDone && notice.say("Saved.")),
    pdf: () => printing.make(),
  },
});

if (/Mac|iP/.test(navigator.platform)) {
  for (const key of form.querySelectorAll("kbd")) key.textContent = key.textContent.replace("Ctrl", "⌘");
  for (const button of form.querySelectorAll("[title]")) button.title = button.title.replace("Ctrl+", "⌘");
}

area.readOnly = false;
form.dataset.ready = "";
if (found) putBack(found);
// A new document is there to be written.
if (!area.value && document.activeElement === document.body) (form.elements.title.value ? area : form.elements.title).focus();
showTitle();
changed();
