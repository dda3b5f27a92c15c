// What every page does in the browser: forms that cannot be sent twice, local times, copying, failures said aloud.

import { say } from "./say.js";

// A form that is under way shows it, and a second press does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
});
// The page that "Back" brings out of the browser's memory is ready to be sent again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// Times are written in UTC by the server and shown in the reader's own zone.
function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const moment = new Date(time.dateTime);
    const style = {
      time: { timeStyle: "short" },
      seconds: { dateStyle: "medium", timeStyle: "medium" },
    }[time.dataset.format] ?? { dateStyle: "medium", timeStyle: "short" };
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(document.documentElement.lang, style);
  }
}

document.addEventListener("click", async (event) => {
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    await navigator.clipboard.writeText(copier.dataset.copy);
    const was = copier.textContent;
    copier.textContent = "Copied";
    setTimeout(() => (copier.textContent = was), 1500);
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("htmx:load", (event) => showLocalTimes(event.detail.elt.parentNode ?? document));
// A part that was sent elsewhere was sent to sign in: the session is over, and the whole page goes there.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (new URL(detail.xhr.responseURL).pathname === new URL(detail.requestConfig.path, location).pathname) return;
  detail.shouldSwap = false;
  location.reload();
});
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    if (event.target.closest("[data-quiet]")) return;
    const reference = event.detail.xhr?.getResponseHeader?.("X-Reference");
    say(`That did not work. Please try again.${reference ? ` Reference: ${reference}` : ""}`, "error");
  });
}

showLocalTimes(document);
document.querySelector("[data-error-summary]")?.focus();
