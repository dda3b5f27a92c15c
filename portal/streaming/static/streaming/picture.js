/** A picture that is too large is refused where it is chosen: on its way, it would only be cut off. */

for (const input of document.querySelectorAll("input[data-most-bytes]")) {
  const says = input.parentElement.querySelector("[data-says]");
  input.addEventListener("change", () => {
    const most = Number(input.dataset.mostBytes);
    const isTooLarge = [...input.files].some((file) => file.size > most);
    says.textContent = isTooLarge ? `This picture is larger than ${most / 1e6} MB. Choose a smaller one.` : "";
    if (isTooLarge) input.value = "";
  });
}
