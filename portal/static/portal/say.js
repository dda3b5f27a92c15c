/** Put a message into the page's live region, so that it is seen and read aloud. */
export function say(text, level = "") {
  const note = document.createElement("p");
  note.className = `note ${level}`;
  note.textContent = text;
  document.getElementById("messages")?.replaceChildren(note);
}
