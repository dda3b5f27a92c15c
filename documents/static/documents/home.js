// The list of documents: it says what has text that is in this browser only, and files are imported as they are chosen,
// or dropped anywhere.

const { person } = document.querySelector("[data-person]").dataset;
const drafts = `portico:draft:${person}:`;
for (const item of document.querySelectorAll("[data-id]")) {
  if (!hasDraft(item.dataset.id)) continue;
  const mark = document.createElement("span");
  mark.className = "tag warm";
  mark.textContent = "unsaved text in this browser";
  item.querySelector(".document-facts").append(mark);
}

function hasDraft(id) {
  try {
    return Object.keys(localStorage).some((key) => key.startsWith(`${drafts}${encodeURIComponent(id)}:`));
  } catch {
    return false; // a browser that keeps nothing
  }
}

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
