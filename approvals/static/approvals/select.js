// The box that selects all, and says when only some are. Enter on a box presses no button.

const all = document.querySelector("#select-all");
const boxes = [...document.querySelectorAll("#many input[name=selected]")];

function show() {
  const count = boxes.filter((box) => box.checked).length;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
}

if (all) {
  all.closest("[hidden]").hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  document.querySelector("#many").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.type === "checkbox") event.preventDefault();
  });
  addEventListener("pageshow", show);
  show();
}
