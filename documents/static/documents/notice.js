// How the saving goes, in words: a short state beside the title, and a note where something has to be known or done.

const language = document.documentElement.lang;
const KEPT = "Your text is kept in this browser";
const DANGER = "This browser cannot keep your text: leave this tab open";
// What is in the way, what happens then, and which buttons help.
const PROBLEMS = {
  offline: ["Portico cannot be reached", `${KEPT}. It is saved by itself as soon as there is a connection.`, ["again"]],
  busy: ["Portico is busy", `${KEPT}. It is saved by itself in a moment.`, ["again"]],
  "signed-out": ["you are signed out", `Sign in again in another tab. ${KEPT}.`, ["sign-in", "again"]],
  "someone-else": ["somebody else is signed in in this browser", `Sign in as yourself in another tab. ${KEPT}.`, ["sign-in", "again"]],
  "too-large": ["the text is too long", `It has more than a document can hold. Make two of it. ${KEPT}.`, ["again"]],
  gone: ["this document was deleted elsewhere", `${KEPT}.`, ["anew", "again"]],
  conflict: ["this document was changed elsewhere", "Both versions are below. Nothing is overwritten until you choose.", []],
  invalid: ["", `${KEPT}.`, []],
  refused: ["", `${KEPT}.`, ["again"]],
};

/** Return when something was, as short as it is clear today. */
export const dated = (moment) => {
  const isToday = new Date(moment).toDateString() === new Date().toDateString();
  return new Date(moment).toLocaleString(language, isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
};

/** Run what the buttons of a panel stand for; a second press waits for the first. */
export function onPress(panel, acts) {
  panel.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button || button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    try {
      await acts[button.dataset.act]();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

export class Notice {
  #state;
  #problem;
  #aloud;
  #last = "";

  /** `state` is the element beside the title, `problem` the note, `aloud` what is read to those who do not see them. */
  constructor({ state, problem, aloud, acts }) {
    this.#state = state;
    this.#problem = problem;
    this.#aloud = aloud;
    onPress(problem, acts);
  }

  say(words) {
    this.#aloud.textContent = words;
  }

  /** Show "saved", "waiting", "saving" or "failed". */
  tell(state, failure, { isKept = true, at = Date.now() } = {}) {
    const was = this.#last;
    // Chromium undoes letter by letter where anything on the page was written between two keys.
    if (state === "waiting" && was === state) return;
    this.#last = state === "failed" ? failure.kind : state;
    this.#state.dataset.state = state;
    if (state === "failed") return this.#fail(failure, isKept, was);
    // A problem stays in sight while it is tried again.
    if (state === "saving" && !this.#problem.hidden) this.#last = was;
    else this.#problem.hidden = true;
    if (state === "saved" && was in PROBLEMS) this.say("Saved.");
    this.#state.textContent = { saved: `Saved · ${dated(at)}`, waiting: "Not saved yet", saving: "Saving…" }[state];
  }

  #fail(failure, isKept, was) {
    const [what, then, acts] = PROBLEMS[failure.kind] ?? PROBLEMS.refused;
    const why = what || failure.message || "Portico refused it";
    this.#state.textContent = "Not saved";
    this.#problem.hidden = false;
    this.#problem.querySelector("[data-what]").textContent = `Not saved: ${why.replace(/\.$/, "")}.`;
    this.#problem.querySelector("[data-then]").textContent =
      (isKept ? then : then.replace(KEPT, DANGER)) + (failure.reference ? ` Reference: ${failure.reference}` : "");
    for (const act of this.#problem.querySelectorAll("[data-act]")) act.hidden = !acts.includes(act.dataset.act);
    if (was !== failure.kind) this.say(this.#problem.querySelector("p").textContent);
  }
}
