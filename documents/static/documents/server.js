// What the editor asks of Portico, and what can go wrong with that.

const SECONDS = 30; // that an answer may take

/** `kind` is "offline", "busy" (it passes), "signed-out", "someone-else", "conflict", "gone", "too-large",
 * "invalid" (the same again would be no better) or "refused". `reference` finds it in the logs, where it is our fault. */
export class Failure extends Error {
  constructor(kind, message = "", { answer = null, reference = "", wait = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, answer, reference, wait });
  }
}

const KINDS = { 401: "signed-out", 404: "gone", 412: "conflict", 413: "too-large", 422: "invalid" };
const kindOf = (status) => KINDS[status] ?? (status === 429 || status >= 500 ? "busy" : "refused");

const OURS = ["busy", "refused"];

export class Server {
  #home;
  #token;
  #person;

  /** `home` is the address of the page with all documents; their JSON is below it. */
  constructor({ home, token, person }) {
    this.#home = home;
    this.#token = token;
    this.#person = person;
  }

  /** The address of all documents in the JSON API. */
  get documents() {
    return this.#home.slice(0, -1);
  }

  /** Return the address of one of them. */
  document(id) {
    return this.#home + id.split("/").map(encodeURIComponent).join("/");
  }

  /** Send a request and return its answer's JSON. Raises Failure. */
  async ask(method, url, { json, body, headers = {}, keepalive = false, seconds = SECONDS } = {}) {
    const send = () =>
      this.#fetch(url, {
        method,
        headers: { Accept: "application/json", "X-CSRFToken": this.#token, ...(json && { "Content-Type": "application/json" }), ...headers },
        body: json ? JSON.stringify(json) : body,
        keepalive,
        signal: AbortSignal.timeout(1000 * seconds),
      });
    let response = await send();
    if (response.status === 403) {
      // Signing in again, in another tab, changes the token.
      await this.#renew();
      response = await send();
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer) return answer;
    throw new Failure(kindOf(response.status), answer?.Error ?? "", {
      answer,
      reference: OURS.includes(kindOf(response.status)) ? (answer?.Reference ?? response.headers.get("X-Reference") ?? "") : "",
      wait: Number(response.headers.get("Retry-After")) * 1000 || 0,
    });
  }

  async #fetch(url, options) {
    let response;
    try {
      response = await fetch(url, { ...options, redirect: "manual" });
    } catch (error) {
      throw new Failure("offline", String(error));
    }
    // Only the way to the sign-in page leads elsewhere.
    if (response.type === "opaqueredirect") throw new Failure("signed-out");
    return response;
  }

  async #renew() {
    const headers = { Accept: "text/html" };
    const response = await this.#fetch(this.#home, { headers, signal: AbortSignal.timeout(1000 * SECONDS) });
    if (!response.ok) throw new Failure(kindOf(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const person = page.querySelector("[data-person]")?.dataset.person;
    if (person !== this.#person) throw new Failure("someone-else");
    this.#token = page.querySelector("[name=csrfmiddlewaretoken]").value;
  }
}
