// What the toolbar and the keys do to Markdown. Each command takes {text, start, end} and returns a change:
// {from, to, insert, start, end}: what to replace by what, and what is selected then; null for nothing to do.

const lineStart = (text, at) => (at > 0 ? text.lastIndexOf("\n", at - 1) + 1 : 0);
const lineEnd = (text, at) => (text.indexOf("\n", at) + 1 || text.length + 1) - 1;

/** Put marks around what is selected, or around the word at the cursor; take them away where they are. */
export const around = (mark, example) => ({ text, start, end }) => {
  if (start === end) {
    while (start > 0 && /[\p{L}\p{N}]/u.test(text[start - 1])) start--;
    while (end < text.length && /[\p{L}\p{N}]/u.test(text[end])) end++;
  }
  // Marks go beside the words, not beside the space around them.
  while (start < end && /\s/.test(text[start])) start++;
  while (start < end && /\s/.test(text[end - 1])) end--;
  const length = mark.length;
  for (const [from, to] of [[start, end], [start + length, end - length]]) {
    if (from > to || text.slice(from - length, from) !== mark || text.slice(to, to + length) !== mark) continue;
    if (mark === "*" && stars(text, from - 1) === 2 && stars(text, to) === 2) continue; // that is bold
    return { from: from - length, to: to + length, insert: text.slice(from, to), start: from - length, end: to - length };
  }
  const inner = text.slice(start, end) || example;
  return { from: start, to: end, insert: mark + inner + mark, start: start + length, end: start + length + inner.length };
};

const stars = (text, at) => /\*+$/.exec(text.slice(0, at + 1))[0].length + /^\**/.exec(text.slice(at + 1))[0].length;

/** Change all lines of the selection. `change` takes the lines and returns as many. */
const lines = (change) => ({ text, start, end }) => {
  const from = lineStart(text, start);
  // A selection that ends where a line begins does not mean that line.
  const to = lineEnd(text, end > start && text[end - 1] === "\n" ? end - 1 : end);
  const insert = change(text.slice(from, to).split("\n")).join("\n");
  if (start !== end) return { from, to, insert, start: from, end: from + insert.length };
  const at = Math.max(from, start + insert.length - (to - from));
  return { from, to, insert, start: at, end: at };
};

const MARKED = /^(\s*)(?:[-*+] \[[ xX]\] |[-*+] |\d+[.)] )?/;

/** Give lines a mark, such as "- ", in place of another one; take it away where all have it. */
export const list = (mark) =>
  lines((all) => {
    const full = all.filter((line) => line.trim() || all.length === 1);
    const has = (line) => MARKED.exec(line)[0].trimStart() === mark;
    const isUndone = full.every(has);
    return all.map((line) => (full.includes(line) ? line.replace(MARKED, isUndone ? "$1" : `$1${mark}`) : line));
  });

export const quote = lines((all) =>
  all.every((line) => line.startsWith(">")) ? all.map((line) => line.replace(/^> ?/, "")) : all.map((line) => (line ? `> ${line}` : ">")),
);

/** The line becomes a heading, one of the second level, one of the third, and then a paragraph again. */
export const heading = lines((all) =>
  all.map((line) => {
    const [, marks = "", rest] = /^(?:(#{1,6}) +)?(.*)$/.exec(line);
    return marks.length >= 3 ? rest : `${"#".repeat(marks.length + 1)} ${rest}`;
  }),
);

export const further = lines((all) => all.map((line) => (line.trim() ? `    ${line}` : line)));
export const nearer = lines((all) => all.map((line) => line.replace(/^(?: {1,4}|\t)/, "")));

/** A word of code, or a block of it where whole lines are selected; a block that is there becomes text again. */
export const code = (state) => {
  const there = fenced(state);
  if (there) return there;
  const chosen = state.text.slice(state.start, state.end);
  if (!chosen.includes("\n")) return around("`", "code")(state);
  const fence = chosen.includes("```") ? "~~~~" : "```";
  const from = lineStart(state.text, state.start);
  const to = lineEnd(state.text, chosen.endsWith("\n") ? state.end - 1 : state.end);
  const block = `${fence}\n${state.text.slice(from, to)}\n${fence}`;
  return alone(state.text, from, to, block, fence.length, 0);
};

// The block of code around the cursor or the selection, and what is left without its fences.
function fenced({ text, start, end }) {
  let [offset, mark, from, inside] = [0, "", 0, 0];
  for (const line of text.split("\n")) {
    const to = offset + line.length;
    const [, fence = ""] = /^(`{3,}(?=[^`]*$)|~{3,})/.exec(line) ?? [];
    if (!mark) {
      if (offset > start) return null;
      if (fence) [mark, from, inside] = [fence, offset, to + 1];
    } else if (fence.startsWith(mark) && line.trim() === fence) {
      if (start >= from && end <= to) {
        const insert = text.slice(inside, Math.max(inside, offset - 1));
        return { from, to, insert, start: from, end: from + insert.length };
      }
      mark = "";
    }
    offset = to + 1;
  }
  return null;
}

const ADDRESS = /^(?:https?:\/\/|mailto:)\S+$/;

const LINK = /(!?)\[([^[\]\n]*)\]\(([^()\s]*)\)/g;

/** Make a link of what is selected; a link that is there becomes its words again. */
export function link({ text, start, end }) {
  const above = lineStart(text, start);
  for (const found of text.slice(above, lineEnd(text, end)).matchAll(LINK)) {
    const from = above + found.index;
    const to = from + found[0].length;
    if (start < from || end > to || (start === end && (start === from || start === to))) continue;
    const [, isPicture, words, address] = found;
    if (isPicture) return null;
    const insert = words === "text" && address !== "https://" ? address : words;
    return { from, to, insert, start: from, end: from + insert.length };
  }
  const chosen = text.slice(start, end);
  const [words, address] = ADDRESS.test(chosen) ? ["text", chosen] : [chosen || "text", "https://"];
  const insert = `[${words}](${address})`;
  const at = words === "text" ? start + 1 : start + words.length + 3;
  return { from: start, to: end, insert, start: at, end: at + (words === "text" ? 4 : address.length) };
}

/** An address that is pasted over words makes a link of them. */
export function pasted({ text, start, end }, address) {
  const words = text.slice(start, end);
  if (!ADDRESS.test(address) || !words.trim() || /[\n\][]/.test(words) || ADDRESS.test(words)) return null;
  const insert = `[${words}](${address})`;
  return { from: start, to: end, insert, start: start + insert.length, end: start + insert.length };
}

const TABLE = "| Column | Column |\n| ------ | ------ |\n| Cell   | Cell   |";
/** A table below the line of the cursor; none within another one. */
export const table = ({ text, end }) =>
  text[lineStart(text, end)] === "|" ? null : block(text, end, TABLE, 2, 6);
export const pageBreak = ({ text, end }) => block(text, end, "\\newpage", 8, 0);

/** Return the change that puts a block on lines of its own after the line of the cursor. */
export function block(text, end, insert, selected, length) {
  const line = text.slice(lineStart(text, end), lineEnd(text, end));
  const at = line.trim() ? lineEnd(text, end) : lineStart(text, end);
  return alone(text, at, line.trim() ? at : lineEnd(text, end), insert, selected, length);
}

// A block has an empty line before and after it.
function alone(text, from, to, insert, selected, length) {
  const [above, below] = [text.slice(0, from), text.slice(to)];
  const before = !above || above.endsWith("\n\n") ? "" : above.endsWith("\n") ? "\n" : "\n\n";
  const after = !below ? "\n" : below.startsWith("\n\n") || below === "\n" ? "" : below.startsWith("\n") ? "\n" : "\n\n";
  const start = from + before.length + selected;
  return { from, to, insert: before + insert + after, start, end: start + length };
}

const ITEM = /^(\s*)(?:([-*+])( \[[ xX]\])?|(\d+)([.)])|(>)) (.*)$/;

/** The Enter key goes on with a list or a quotation, and ends it on an empty item. */
export function enter({ text, start, end }) {
  if (start !== end) return null;
  const from = lineStart(text, start);
  const found = ITEM.exec(text.slice(from, lineEnd(text, start)));
  if (!found) return null;
  const [, indent, bullet, box, number, point, mark, rest] = found;
  const head = `${indent}${bullet ? `${bullet}${box ? " [ ]" : ""}` : number ? `${Number(number) + 1}${point}` : mark} `;
  if (start < from + text.slice(from).indexOf(rest, indent.length)) return null;
  if (!rest.trim()) {
    // Without an empty line, what comes next would belong to the last item.
    const insert = text.slice(lineStart(text, from - 1), from).trim() ? "\n" : "";
    return { from, to: lineEnd(text, start), insert, start: from + insert.length, end: from + insert.length };
  }
  return { from: start, to: start, insert: `\n${head}`, start: start + 1 + head.length, end: start + 1 + head.length };
}
