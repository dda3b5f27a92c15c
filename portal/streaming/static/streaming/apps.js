// Renewing what can be started while something is being started, and finding one of many.

const EVERY = 10_000;
const AT_MOST = 20 * 60_000; // a fleet takes about fifteen minutes
const began = Date.now();

const offers = () => document.querySelector("#offers");
const tags = () => new Map([...document.querySelectorAll(".tile")].map((tile) => [tile.dataset.title, tile.dataset.tag]));

// Somebody who is answering a question, or whose press is under way, is left alone.
const isBusy = () => offers().querySelector("details[open], form[data-sent]") !== null;

function renew() {
  if (!document.hidden && !isBusy()) htmx.trigger(offers(), "renew");
}

setInterval(() => {
  if ("changing" in offers().dataset && Date.now() - began < AT_MOST) renew();
}, EVERY);
// Whoever comes back from a stream finds how it is now.
document.addEventListener("visibilitychange", renew);
addEventListener("pageshow", (event) => event.persisted && renew());

let before = tags();
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  // A question may have been opened since it was asked.
  if (detail.target === offers() && isBusy()) detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSettle", () => {
  const now = tags();
  const changed = [...now].filter(([title, tag]) => before.has(title) && before.get(title) !== tag);
  before = now;
  if (changed.length) document.querySelector("#changed").textContent = changed.map(([title, tag]) => `${title}: ${tag}.`).join(" ");
  show();
});

// One of many, by the words of its title and of what it is.
const words = document.querySelector("#find-words");

function show() {
  if (!words) return;
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const tiles = [...document.querySelectorAll(".tile")];
  for (const tile of tiles) {
    const text = tile.textContent.toLowerCase();
    tile.hidden = !wanted.every((word) => text.includes(word));
  }
  const found = tiles.filter((tile) => !tile.hidden).length;
  document.querySelector("#find-said").textContent = wanted.length ? `${found} of ${tiles.length}` : "";
}

if (words) {
  document.querySelector("#find").hidden = false;
  words.addEventListener("input", show);
  show();
}
