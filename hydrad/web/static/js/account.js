// Forms that ask the API: one's own account, and everybody's.
import { ask, note, trying } from "./house.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.method) return; // the browser sends it by itself
  event.preventDefault();
  if (!alike(form) || (form.dataset.sure && !confirm(form.dataset.sure))) return;
  const button = event.submitter ?? form.querySelector("button");
  button.disabled = true; // once
  const answer = await trying(() => ask(form.dataset.method, form.dataset.path, body(form)));
  button.disabled = false;
  if (answer === undefined) return;
  if (form.dataset.then) {
    location.assign(form.dataset.then);
    return;
  }
  if (answer?.token) show(answer);
  if (form.dataset.done) note(form.dataset.done);
  form.reset();
  await trying(refresh);
});

/** What the form says, as a document; undefined for one without fields. */
function body(form) {
  const said = {};
  for (const field of form.elements) {
    if (!field.name || "skip" in field.dataset) continue;
    if (field.type === "checkbox") said[field.name] = field.checked;
    else if (field.value === "" && field.dataset.empty) said[field.name] = null;
    else if (field.type === "number") said[field.name] = field.valueAsNumber;
    else if ("json" in field.dataset) said[field.name] = JSON.parse(field.value);
    else said[field.name] = field.value;
  }
  return Object.keys(said).length ? said : undefined;
}

/** Whether what is typed twice is the same both times. */
function alike(form) {
  const again = form.querySelector("[data-same]");
  if (!again) return true;
  again.setCustomValidity(again.value === form.elements[again.dataset.same].value ? "" : "This is not the same as above.");
  again.addEventListener("input", () => again.setCustomValidity(""), { once: true });
  return again.reportValidity();
}

/** A new token, this once. */
function show(made) {
  const box = document.createElement("div");
  box.className = "sheet secret";
  const label = document.createElement("label");
  label.htmlFor = "secret";
  label.textContent = `Token ${made.id}, ${made.role}: keep it now, it is never shown again.`;
  const secret = document.createElement("input");
  secret.id = "secret";
  secret.readOnly = true;
  secret.value = made.token;
  const row = document.createElement("div");
  row.className = "row";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.addEventListener("click", async () => {
    secret.select();
    const done = await navigator.clipboard?.writeText(made.token).then(() => true, () => false);
    note(done ? "Copied." : "It is marked: copy it with the keyboard.");
  });
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "I have it";
  close.addEventListener("click", () => box.remove());
  row.append(copy, close);
  box.append(label, secret, row);
  document.getElementById("made").replaceChildren(box);
  secret.focus();
  secret.select();
}

/** Put what the server says now in the place of what it said before; what is folded open stays so. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) {
    location.reload();
    return;
  }
  const now = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...document.querySelectorAll("details[open]")].map((one) => one.id);
  for (const old of document.querySelectorAll("[data-fresh]")) {
    const fresh = now.getElementById(old.id);
    if (fresh) old.replaceWith(document.adoptNode(fresh));
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
}
