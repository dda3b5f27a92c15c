// The place where a unicorn waits: the map and the two fields of its form follow each other.

import { pickMap } from "../portal/map.js";

const element = document.getElementById("place-map");
const fields = { latitude: document.getElementById("id_latitude"), longitude: document.getElementById("id_longitude") };

// An empty field is no place: Number("") would be 0.
function typed() {
  const place = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim() === "" ? NaN : Number(field.value)]));
  return Math.abs(place.latitude) <= 90 && Math.abs(place.longitude) <= 180 ? place : null;
}

const now = typed();
const map = pickMap(element, {
  ...(now ?? { latitude: 47.61, longitude: -122.33 }),
  picked: Boolean(now),
  zoom: now ? 11 : 4,
  onPick: (place) => {
    for (const [name, field] of Object.entries(fields)) field.value = place[name];
  },
});
element.querySelector(".pickup-icon").setAttribute("aria-label", "Where the unicorn waits. Arrow keys move it.");
for (const field of Object.values(fields)) {
  field.addEventListener("change", () => {
    const place = typed();
    if (place) map.pick(place);
  });
}
