// The form of a rule: it asks for what the chosen action needs, and says what a function gives while it is typed.

const action = document.getElementById("id_action");
const untagged = [...document.querySelectorAll("input[name=untagged]")];

// The row of a field; a reader who may not change anything has none of them.
const row = (name) => document.querySelector(`.form-row.field-${name}`);

function followAction() {
  const chosen = action.value;
  const isTyped = chosen !== "UserLookup";
  row("default").hidden = !isTyped;
  for (const part of row("default").querySelectorAll("[data-for]")) part.hidden = Boolean(chosen) && part.dataset.for !== chosen;
  says.hidden = chosen !== "Function";
  if (!says.hidden) ask();
}

function followUntagged() {
  const isHarsh = untagged.some((one) => one.checked && one.value !== "report");
  if (row("sure")) row("sure").hidden = !isHarsh;
  // Days that are refused are refused whatever is chosen.
  if (row("grace_days")) row("grace_days").hidden = !isHarsh && !row("grace_days").matches(".errors");
}

const says = document.createElement("p");
says.className = "says";
says.id = "function-says";
says.setAttribute("aria-live", "polite");

let asked = 0;
let waiting;
async function ask() {
  const number = ++asked;
  const text = document.getElementById("id_default").value.trim();
  if (!text) return says.replaceChildren();
  try {
    const answer = await fetch(`${says.dataset.url}?${new URLSearchParams({ default: text })}`);
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (number === asked) says.replaceChildren(...page.body.childNodes);
  } catch {
    if (number === asked) says.replaceChildren();
  }
}

if (action && row("default")) {
  const field = document.getElementById("id_default");
  says.dataset.url = row("default").querySelector("[data-url]").dataset.url;
  row("default").append(says);
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    if (action.value === "Function") waiting = setTimeout(ask, 300);
  });
  action.addEventListener("change", followAction);
  followAction();
}
if (untagged.length) {
  for (const one of untagged) one.addEventListener("change", followUntagged);
  followUntagged();
}
