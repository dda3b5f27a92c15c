// A run's page while it is watched: it says when nothing answers any more, and goes on by itself when something does.

const lost = document.getElementById("run-lost");
const isOurs = (event) => event.target.id === "progress";

function sayLost(event) {
  if (!isOurs(event) || lost.firstChild) return;
  const note = document.createElement("p");
  note.className = "note warning";
  note.textContent = "Not connected; trying again.";
  lost.append(note);
}
for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(failure, sayLost);
document.addEventListener("htmx:beforeSwap", (event) => {
  if (isOurs(event) && event.detail.shouldSwap) lost.replaceChildren();
});
