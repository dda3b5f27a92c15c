// The toolbar above the text, and the keys that do the same.

import * as commands from "./commands.js";
import { apply, state } from "./writing.js";

const COMMANDS = {
  bold: commands.around("**", "bold"),
  italic: commands.around("*", "italic"),
  heading: commands.heading,
  list: commands.list("- "),
  tasks: commands.list("- [ ] "),
  quote: commands.quote,
  code: commands.code,
  link: commands.link,
  table: commands.table,
  break: commands.pageBreak,
};
const KEYS = { b: COMMANDS.bold, i: COMMANDS.italic, k: COMMANDS.link, "]": commands.further, "[": commands.nearer };

/** `acts` has what other buttons do: {picture, save, pdf}. */
export function listen({ bar, area, acts }) {
  const run = (command) => {
    const change = command(state(area));
    if (change) apply(area, change);
    return Boolean(change);
  };

  bar.addEventListener("click", (event) => {
    const name = event.target.closest("[data-command]")?.dataset.command;
    if (name) COMMANDS[name] ? run(COMMANDS[name]) : acts[name]();
  });
  walk(bar);

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.isComposing) return;
    const key = event.key.toLowerCase();
    if (key === "s") acts.save();
    else if (key === "enter") acts.pdf();
    else if (event.target === area && KEYS[key]) run(KEYS[key]);
    else return;
    event.preventDefault();
  });
  area.addEventListener("keydown", (event) => {
    const isPlain = event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    if (isPlain && !event.isComposing && run(commands.enter)) event.preventDefault();
  });
  area.addEventListener("paste", (event) => {
    const change = commands.pasted(state(area), event.clipboardData.getData("text").trim());
    if (!change) return;
    event.preventDefault();
    apply(area, change);
  });
}

// One stop for the Tab key; the arrows go from button to button.
// Reference: https://www.w3.org/WAI/ARIA/apg/patterns/toolbar/
function walk(bar) {
  const buttons = [...bar.querySelectorAll("button")];
  const stop = (at) => buttons.forEach((button, n) => (button.tabIndex = n === at ? 0 : -1));
  stop(0);
  bar.addEventListener("focusin", (event) => stop(buttons.indexOf(event.target)));
  bar.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target);
    const to = {
      ArrowRight: (at + 1) % buttons.length,
      ArrowLeft: (at + buttons.length - 1) % buttons.length,
      Home: 0,
      End: buttons.length - 1,
    }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    buttons[to].focus();
  });
}
