// What is not saved yet, kept in this browser. Each tab has a draft of its own: two would overwrite each other's.

/** A draft is {content, etag: of what it was begun from, lost: fingerprints of what was sent without an answer, at: when
 * it was written}. */
export class Draft {
  isKept = true;

  constructor(key) {
    this.key = key;
  }

  keep(draft) {
    try {
      localStorage.setItem(this.key, JSON.stringify(draft));
      this.isKept = true;
    } catch {
      // The browser is full, or keeps nothing at all. What it kept before is still there.
      this.isKept = false;
    }
  }

  forget() {
    this.isKept = true;
    try {
      localStorage.removeItem(this.key);
    } catch {
      // It was never kept.
    }
  }
}

/** Return a draft for this tab, what it `found` in it, and further ones that closed tabs have `left`, newest first. */
export async function open(prefix) {
  const found = [];
  for (const key of keys(prefix)) {
    const kept = parsed(key);
    // Another tab that is open has hold of its own.
    if (kept && (await hold(key))) found.push({ draft: new Draft(key), ...kept });
  }
  found.sort((one, other) => other.at - one.at);
  if (found.length) return { draft: found[0].draft, found: found[0], left: found.slice(1) };
  const draft = new Draft(prefix + crypto.getRandomValues(new Uint32Array(2)).join("-"));
  await hold(draft.key);
  return { draft, found: null, left: [] };
}

/** Return all drafts under a prefix: {key, content, at}. */
export const kept = (prefix) => keys(prefix).flatMap((key) => ({ key, ...parsed(key) })).filter(({ content }) => content);

function keys(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    return [];
  }
}

function parsed(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    return typeof kept?.content?.text === "string" ? kept : null;
  } catch {
    return null;
  }
}

/** Take hold of a draft for as long as the page lives; false where another tab has it. */
async function hold(name) {
  if (!navigator.locks) return true;
  const once = () =>
    new Promise((resolve) => {
      navigator.locks
        .request(name, { ifAvailable: true }, (lock) => {
          resolve(Boolean(lock));
          return lock && new Promise(() => {});
        })
        .catch(() => resolve(true));
    });
  if (await once()) return true;
  // A page that is being left, for itself anew, lets go a moment later.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return once();
}
