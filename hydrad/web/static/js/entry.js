// An entry for the logbook: send it, or copy its text.
import { ask, note, trying } from "./house.js";

const form = document.getElementById("entry");
const made = document.getElementById("made");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  if (!button || button.disabled) return;
  button.disabled = true;
  made.textContent = "On its way…";
  const done = await trying(() =>
    ask("POST", "/api/v1/logbook", {
      episode: Number(form.dataset.episode),
      title: form.elements.title.value,
      text: form.elements.text.value,
      pictures: form.elements.pictures?.checked ?? false,
    }),
  );
  made.textContent = "";
  button.disabled = false;
  if (done === undefined) return;
  made.append(`It is in ${done.logbook}: `);
  if (/^https?:\/\//.test(done.reference)) {
    const link = document.createElement("a");
    link.href = done.reference;
    link.textContent = done.reference;
    made.append(link);
  } else {
    made.append(done.reference);
  }
  button.textContent = "Put it there once more";
  button.classList.remove("main");
});

form.addEventListener("click", async (event) => {
  if (event.target.dataset?.role !== "copy") return;
  const text = `${form.elements.title.value}\n\n${form.elements.text.value}`;
  try {
    await navigator.clipboard.writeText(text);
    note("Copied.");
  } catch {
    form.elements.text.select(); // the browser keeps the clipboard to itself: Ctrl-C does it
    note("Press Ctrl-C to copy the text.");
  }
});
