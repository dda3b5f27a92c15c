// A page that shows a fleet needs no script of its own: data-fleet names the json_script that holds the items.

import { fleetMap } from "./map.js";

for (const element of document.querySelectorAll("[data-fleet]")) {
  fleetMap(element, JSON.parse(document.getElementById(element.dataset.fleet).textContent));
}
