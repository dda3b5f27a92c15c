// Pictures that are pasted, dropped or chosen: made smaller where they must be, uploaded, and then in the text.

import { block } from "./commands.js";
import { Failure } from "./server.js";
import { apply, replace, state } from "./writing.js";

const SIDE = 2400; // pixels; the server makes larger ones as small
const SECONDS = 120;
const MEGABYTE = 1_000_000;
const WHY = {
  offline: "Portico cannot be reached.",
  busy: "Portico is busy.",
  "signed-out": "you are signed out. Sign in again in another tab.",
  "someone-else": "somebody else is signed in here.",
};

export class Pictures {
  #server;
  #url;
  #folder;
  #area;
  #limit;
  #onEnd;
  #waiting = new Map(); // placeholders in the text, and the ends of lines around each
  #isOwnDrag = false;
  #numbers = 0;

  /** `id` is the document's; `onEnd` is told what was not uploaded and why, in sentences. */
  constructor({ server, url, id, area, limit, onEnd }) {
    this.#server = server;
    this.#url = url;
    // A picture's path is one from the document's own folder.
    this.#folder = "../".repeat(id.split("/").length - 1);
    this.#area = area;
    this.#limit = limit;
    this.#onEnd = onEnd;
    area.addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    area.addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    // Beside the text, the browser would open the file in place of the page.
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (event.defaultPrevented || !hasFiles(event)) return;
      event.preventDefault();
      if (!this.#isOwnDrag) this.add(event.dataTransfer.files);
    });
    // A picture of the page that is dragged about is one that is there.
    addEventListener("dragstart", () => (this.#isOwnDrag = true));
    addEventListener("dragend", () => (this.#isOwnDrag = false));
  }

  get areUnderWay() {
    return this.#waiting.size > 0;
  }

  /** Return the text without the placeholders of what is still under way. */
  without(text) {
    for (const one of this.#waiting.keys()) text = text.replace(one, "");
    return text;
  }

  /** Upload pictures and put them where the cursor is. */
  async add(files) {
    const placed = [...files].map((file) => [file, this.#place(file)]);
    const failed = [];
    for (const [file, placeholder] of placed) {
      const why = await this.#upload(file, placeholder);
      if (why) failed.push(`${file.name} was not uploaded: ${why}`);
    }
    this.#onEnd(failed);
  }

  #take(event, data) {
    // What comes from a spreadsheet is text and a picture of it.
    if (!data?.files.length || data.types.includes("text/plain")) return;
    event.preventDefault();
    this.add(data.files);
  }

  #place(file) {
    this.#numbers++;
    const placeholder = `![Uploading ${plain(file.name) || "picture"}, ${this.#numbers}…]()`;
    const { text, end } = state(this.#area);
    const change = block(text, end, placeholder, placeholder.length, 0);
    this.#waiting.set(placeholder, change.insert.split(placeholder));
    apply(this.#area, change);
    return placeholder;
  }

  async #upload(file, placeholder) {
    try {
      const fits = await fitting(file, this.#limit);
      const headers = { "Content-Type": fits.type || "application/octet-stream" };
      const { Path } = await this.#server.ask("POST", this.#url, { body: fits, headers, seconds: SECONDS });
      this.#put(placeholder, `![${altOf(file)}](${this.#folder}${Path})`);
      return "";
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.#takeAway(placeholder);
      return WHY[failure.kind] ?? failure.message;
    }
  }

  // With the empty lines that came with it, but not those before another picture.
  #takeAway(placeholder) {
    const { value } = this.#area;
    const [before, after] = this.#waiting.get(placeholder);
    this.#waiting.delete(placeholder);
    const at = value.indexOf(placeholder);
    if (at < 0) return;
    let [from, to] = [at, at + placeholder.length];
    if (value.slice(0, from).endsWith(before)) from -= before.length;
    if (value.startsWith(after, to) && !/^\n+!\[/.test(value.slice(to))) to += after.length;
    replace(this.#area, from, to, "");
  }

  #put(placeholder, markdown) {
    this.#waiting.delete(placeholder);
    const at = this.#area.value.indexOf(placeholder);
    // Whoever took the placeholder away wants no picture.
    if (at >= 0) replace(this.#area, at, at + placeholder.length, markdown);
  }
}

const plain = (name) => name.replace(/[[\]()\\`*_\n]/g, " ").trim();

// What a camera or a clipboard calls a picture says nothing to somebody who does not see it.
function altOf({ name }) {
  const stem = plain(name.replace(/\.\w+$/, "")).replace(/[-\s]+/g, " ");
  return /^(image|img|dsc|pxl|screenshot|photo|picture|untitled)?[\s\d.-]*(at|\d|\s|[ap]m)*$/i.test(stem) ? "" : stem;
}

/** Return a picture that is no larger than the limit: the file itself, or a smaller copy. Raises Failure. */
async function fitting(file, limit) {
  if (!file.type.startsWith("image/")) throw new Failure("refused", "it is not a picture.");
  if (file.size <= limit) return file;
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Failure("refused", `it has more than ${limit / MEGABYTE} MB, and this browser cannot make it smaller.`);
  });
  let scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  for (const quality of [0.9, 0.8, 0.7, 0.6]) {
    const canvas = new OffscreenCanvas(Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale));
    const drawing = canvas.getContext("2d");
    // JPEG knows no transparency and would make it black.
    drawing.fillStyle = "#fff";
    drawing.fillRect(0, 0, canvas.width, canvas.height);
    drawing.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const smaller = await canvas.convertToBlob({ type: "image/jpeg", quality });
    if (smaller.size <= limit) return smaller;
    scale *= 0.75;
  }
  throw new Failure("refused", `it has more than ${limit / MEGABYTE} MB.`);
}
