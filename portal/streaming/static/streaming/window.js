// A stream in a frame. Its URL works once: it is fetched when somebody starts, put into the frame without an entry in
// the history, and kept nowhere. The frame itself is made then, so that no browser brings back what was in it.

import { Failure, Server } from "../documents/server.js";

const stage = document.querySelector("#stage");
const word = document.querySelector("#word");
const ending = document.querySelector("#ending");
const [said, detail, button] = ["#said", "#detail", "#start"].map((one) => document.querySelector(one));
const { application, title, allow, apps, person, start: startUrl, standing } = stage.dataset;
const server = new Server({ home: apps, person, token: document.querySelector("[name=csrfmiddlewaretoken]").value });

const LOOK_AFTER = 20_000;
const LOOK_AGAIN = 60_000;
const LOOKS = 30; // ten minutes, for a session that has not begun
let frame = null;
let attempt = 0;

function tell(sentence, { more = "", press = "", busy = false } = {}) {
  word.hidden = false;
  said.textContent = sentence;
  said.classList.toggle("working", busy);
  detail.textContent = more;
  button.hidden = !press;
  button.textContent = press;
}

function close() {
  attempt += 1;
  frame?.remove();
  frame = null;
}

// Whether the person's session runs, or null where nobody knows.
async function isRunning() {
  const mine = attempt;
  const response = await fetch(standing, { headers: { Accept: "application/json" }, redirect: "manual" }).catch(() => null);
  const running = response?.ok ? (await response.json().catch(() => ({}))).Running ?? null : null;
  // What was asked for before something else began says nothing of that.
  if (mine === attempt) ending.hidden = running === false;
  return running;
}

async function rest() {
  close();
  const mine = attempt;
  tell(title, { more: "It is not open in this page.", press: "Start" });
  const running = await isRunning();
  if (running && mine === attempt) tell(title, { more: "Your session goes on. It is not open in this page.", press: "Rejoin" });
}

const SENTENCES = {
  offline: "Portico could not be reached. Are you offline?",
  "signed-out": "You are signed out. Go back to Apps and sign in again.",
  "someone-else": "Somebody else has signed in in this browser. Go back to Apps.",
  busy: "AppStream did not answer in time.",
};

async function start() {
  close();
  const mine = attempt;
  tell(`Starting ${title}…`, { more: "The first picture can take some minutes.", busy: true });
  try {
    const answer = await server.ask("POST", startUrl, { json: { Application: application } });
    if (mine === attempt) open(answer.Message);
  } catch (error) {
    if (mine !== attempt) return;
    if (!(error instanceof Failure)) throw error;
    const why = SENTENCES[error.kind] ?? (error.message || "That did not work.");
    const reference = error.reference && error.kind === "busy" ? ` Reference: ${error.reference}` : "";
    tell(`${title} was not started`, { more: `${why}${reference}`, press: "Try again" });
    button.focus();
  }
}

function open(url) {
  frame = document.createElement("iframe");
  Object.assign(frame, { title, allow, referrerPolicy: "no-referrer", className: "window-frame" });
  stage.append(frame);
  frame.contentWindow.location.replace(url);
  word.hidden = true;
  ending.hidden = false;
  frame.focus();
  watch(frame);
}

// A session ends in the frame, too, and the address that AppStream then leads to is this portal's, which is in no frame.
// Whether there was one is looked at until there was, and then each minute whether it is over, or when the frame shows
// something else.
async function watch(watched) {
  let seen = false;
  const look = async () => {
    const running = await isRunning();
    if (running) seen = true;
    if (running !== false || !seen || watched !== frame) return;
    close();
    ending.hidden = true;
    tell("Your session has ended", { more: "You can start another one.", press: "Start" });
    button.focus();
  };
  watched.addEventListener("load", look);
  for (let n = 0; seen || n < LOOKS; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, seen ? LOOK_AGAIN : LOOK_AFTER));
    if (watched !== frame) return;
    if (!document.hidden) await look();
  }
}

button.addEventListener("click", start);
// The page that "Back" brings out of the browser's memory has a stream that was used.
addEventListener("pageshow", (event) => event.persisted && rest());
if ("asked" in stage.dataset) start();
else rest();
