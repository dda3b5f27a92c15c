// The list of documents: it says what has text that is in this browser only, and files are imported as they are chosen,
// or dropped anywhere.

import { Unsaved } from "./unsaved.js";

const { person, home, edit } = document.querySelector("[data-person]").dataset;
const unsaved = new Unsaved({ person, home, edit, section: document.getElementById("unsaved") });
unsaved.mark();
unsaved.offer();

// The list comes anew after something was changed, but not under somebody's hands.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { target } = event.detail;
  if (target.id === "yours" && (target.querySelector("details[open]") || target.contains(document.activeElement))) {
    event.detail.shouldSwap = false;
  }
});
document.addEventListener("htmx:afterSettle", () => unsaved.mark());

const form = document.getElementById("import");
const { files } = form.elements;

files.addEventListener("change", () => files.files.length && form.requestSubmit());
addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  files.files = event.dataTransfer.files;
  form.requestSubmit();
});
