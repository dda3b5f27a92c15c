// The page of one ride: where the unicorn is, from the places and times that the server wrote into the page.

import { followMap } from "../portal/map.js";

const way = JSON.parse(document.getElementById("way").textContent);
// The reader's clock may be wrong; the server's counts.
const ahead = Date.now() - way.now;
const stop = followMap(document.getElementById("follow-map"), { ...way, clock: () => Date.now() - ahead });

// What renews itself every few seconds is read aloud only when something happened.
const stage = () => document.getElementById("status").dataset.stage;
let last = stage();
document.addEventListener("htmx:afterSettle", () => {
  if (stage() === last) return;
  last = stage();
  document.getElementById("stage-says").textContent = document.getElementById("status").innerText;
  if (last === "cancelled") stop();
});
