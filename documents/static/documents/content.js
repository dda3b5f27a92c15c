// What the editor's fields hold: a title, the text, and how it is printed.

const FIELDS = { title: "Title", text: "Text", theme: "Theme", paper: "Paper", cover: "Cover", contents: "Contents" };
const NAMES = Object.keys(FIELDS);
const isMark = (name) => name === "cover" || name === "contents";

/** Return what the fields of the form hold. */
export function read(form) {
  return Object.fromEntries(NAMES.map((name) => [name, isMark(name) ? form.elements[name].checked : form.elements[name].value]));
}

/** Return what the server wrote into the form, whatever a browser has put back into the fields since. */
export function served(form) {
  const chosen = (select) => [...select.options].find((option) => option.defaultSelected)?.value ?? select.value;
  const value = (field) => (isMark(field.name) ? field.defaultChecked : field.options ? chosen(field) : field.defaultValue);
  const content = Object.fromEntries(NAMES.map((name) => [name, value(form.elements[name])]));
  // A textarea's value has no other ends of lines.
  return { ...content, text: content.text.replace(/\r\n?/g, "\n") };
}

/** Fill the form. The text is only touched where it differs: the browser forgets what can be undone. */
export function write(form, content) {
  for (const name of NAMES) {
    const field = form.elements[name];
    if (isMark(name)) field.checked = content[name];
    else if (field.value !== content[name]) field.value = content[name];
  }
}

/** Bring what the server made of what was `sent` into the form, as far as nobody has changed it since; tell whether the
 * text was one of it. `area` keeps its cursor. */
export function adopt(form, sent, stored) {
  const area = form.elements.text;
  let [end, storedEnd] = [sent.text.length, stored.text.length];
  while (end && storedEnd && sent.text[end - 1] === stored.text[storedEnd - 1]) [end, storedEnd] = [end - 1, storedEnd - 1];
  // What is written there meanwhile waits for the next save: these lines and the fields belong together.
  if (!area.value.startsWith(sent.text.slice(0, end))) return false;
  const now = read(form);
  write(form, { ...now, ...unchanged(now, sent, stored), text: now.text });
  area.setRangeText(stored.text.slice(0, storedEnd), 0, end, "preserve");
  return true;
}

const unchanged = (now, sent, stored) =>
  Object.fromEntries(NAMES.filter((name) => now[name] === sent[name]).map((name) => [name, stored[name]]));

// The server brings a title to one line.
const oneLine = (title) => title.trim().replace(/\s+/g, " ");

/** Tell whether two contents are the same document. */
export const same = (one, other) =>
  NAMES.every((name) => (name === "title" ? oneLine(one.title) === oneLine(other.title) : one[name] === other[name]));

/** Return a content as the JSON API takes it. */
export const asked = (content) => Object.fromEntries(NAMES.map((name) => [FIELDS[name], content[name]]));

/** Return the content of a document that the JSON API gave. Its Title is the first heading where it has none of its own. */
export const answered = (answer) =>
  Object.fromEntries(NAMES.map((name) => [name, name === "title" ? answer.OwnTitle : answer[FIELDS[name]]]));

/** Return a number that differs where contents differ, short enough to be kept beside them (cyrb53, 53 bits). */
export function fingerprint(content) {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  const text = JSON.stringify(NAMES.map((name) => (name === "title" ? oneLine(content.title) : content[name])));
  for (let n = 0; n < text.length; n++) {
    const code = text.charCodeAt(n);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
