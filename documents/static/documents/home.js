// The list of documents: files that are chosen, or dropped anywhere, are imported at once.

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
