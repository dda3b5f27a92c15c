// Changes to the text that the browser's own undo knows about.

const QUICK = 2_000_000;

/** Make a change of commands.js in a textarea. */
export function apply(area, { from, to, insert, start, end }) {
  area.focus();
  area.setSelectionRange(from, to);
  // Each end of a line in insertText lays out the whole text once more: a thousand of them in 500 kB took two minutes.
  const isQuick = (insert.split("\n").length - 1) * area.value.length < QUICK;
  if (from !== to || insert) {
    const isDone = isQuick && document.execCommand(insert ? "insertText" : "delete", false, insert);
    if (!isDone) replace(area, from, to, insert, "end");
  }
  area.setSelectionRange(start, end);
}

/** Replace a part of the text without moving the cursor in the rest of it. What is undone then leaves this alone. */
export function replace(area, from, to, insert, mode = "preserve") {
  area.setRangeText(insert, from, to, mode);
  area.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

/** Return what a command wants to know of a textarea. */
export const state = (area) => ({ text: area.value, start: area.selectionStart, end: area.selectionEnd });
