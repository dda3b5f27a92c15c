// The page that asks for a unicorn: the map, the two numbers and the list of who is near are three views of one place.

import { say } from "../portal/say.js";
import { pickMap } from "../portal/map.js";
import { degrees, pair } from "./degrees.js";

const form = document.getElementById("pickup");
const { latitude, longitude } = form.elements;

const typed = () => {
  const place = { latitude: degrees(latitude.value, "SN"), longitude: degrees(longitude.value, "WE") };
  return Math.abs(place.latitude) <= 90 && Math.abs(place.longitude) <= 180 ? place : null;
};

function write(place) {
  latitude.value = place.latitude;
  longitude.value = place.longitude;
  // The list of who is near listens to this.
  form.dispatchEvent(new Event("change", { bubbles: true }));
}

const here = document.getElementById("here");
const hereSays = document.getElementById("here-says");

const start = typed();
const map = pickMap(document.getElementById("pick-map"), {
  ...(start ?? { latitude: 30, longitude: 0 }),
  picked: Boolean(start),
  zoom: start ? 10 : 2,
  onPick(place) {
    hereSays.textContent = "";
    write(place);
  },
});

// "47.6, -122.3", as maps elsewhere give it, fits into either field.
function split(text) {
  const both = pair(text);
  if (both) write({ latitude: both[0], longitude: both[1] });
  return Boolean(both);
}

form.addEventListener("change", (event) => {
  if (event.target === form) return;
  split(event.target.value);
  if (typed()) map.pick(typed());
});
form.addEventListener("paste", (event) => {
  if (!split(event.clipboardData.getData("text"))) return;
  event.preventDefault();
  if (typed()) map.pick(typed());
});

if ("geolocation" in navigator) here.closest("[hidden]").hidden = false;
here.addEventListener("click", () => {
  here.setAttribute("aria-busy", "true");
  hereSays.textContent = "Asking your device where you are…";
  const done = (text) => {
    here.removeAttribute("aria-busy");
    hereSays.textContent = text;
  };
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      write({ latitude: Number(coords.latitude.toFixed(5)), longitude: Number(coords.longitude.toFixed(5)) });
      map.pick(typed());
      done(`Found you, to within ${Math.max(1, Math.round(coords.accuracy))} m.`);
    },
    (error) =>
      done(
        {
          1: "Your browser keeps your place to itself. Allow it in the browser's settings for this site, or pick a place on the map.",
          2: "Your device does not know where it is. Pick a place on the map instead.",
          3: "That took too long. Try again, or pick a place on the map.",
        }[error.code],
      ),
    { timeout: 10_000, maximumAge: 60_000 },
  );
});

// Who is near the place before is not who is near this one.
const near = document.getElementById("near");
const isOld = (old) => near.setAttribute("aria-busy", String(old));
for (const kind of ["input", "change"]) form.addEventListener(kind, () => isOld(true));

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target !== near) return;
  const asked = event.detail.requestConfig.parameters;
  isOld(asked.latitude !== latitude.value || asked.longitude !== longitude.value);
  const items = [...near.querySelectorAll("[data-name]")];
  map.show(items.map(({ dataset }) => ({ ...dataset, latitude: Number(dataset.latitude), longitude: Number(dataset.longitude) })));
});
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    if (event.target !== near) return;
    isOld(false);
    near.replaceChildren(Object.assign(document.createElement("p"), { className: "small soft", textContent: "Could not look just now." }));
    map.show([]);
  });
}

// Ask again by itself once a unicorn is free, for whoever wants that.
const retry = document.querySelector("[data-retry-at]");
if (retry) {
  const countdown = document.querySelector("[data-countdown]");
  let timer;
  retry.closest("[hidden]").hidden = false;
  retry.addEventListener("click", () => {
    const waiting = retry.getAttribute("aria-pressed") !== "true";
    retry.setAttribute("aria-pressed", String(waiting));
    retry.textContent = waiting ? "Stop waiting" : "Ask again then";
    countdown.textContent = "";
    clearInterval(timer);
    if (!waiting) return;
    say("We ask again by ourselves. Keep this page open.");
    timer = setInterval(() => {
      // A second later than promised: the unicorn's clock has no fractions.
      const seconds = Math.ceil((Date.parse(retry.dataset.retryAt) - Date.now()) / 1000) + 1;
      countdown.textContent = seconds > 0 ? `in ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : "now";
      if (seconds > 0) return;
      clearInterval(timer);
      form.requestSubmit(form.querySelector("[type=submit]"));
    }, 250);
  });
}
