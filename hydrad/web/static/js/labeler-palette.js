// The labels of a plot, each with colour, name and key; and how a new one is defined.

import { ask, note, trying } from "./house.js";

/** The buttons of the labels. */
export class Palette {
  labels = [];
  brush = null; // the name of the label that a click gives
  #root;
  #chosen;

  /** chosen: called with a label's name when its button is pressed; adding: when a new one is wanted. */
  constructor(root, chosen, adding = null) {
    this.#root = root;
    this.#chosen = chosen;
    if (adding) {
      this.adder = document.createElement("button");
      this.adder.type = "button";
      this.adder.id = "new-label";
      this.adder.textContent = "New label…";
      this.adder.addEventListener("click", adding);
    }
  }

  /** What `g` gives: the first label that means good; undefined where there is none. */
  get good() {
    return this.labels.find((label) => label.meaning === "good")?.name;
  }

  name(key) {
    return this.labels[key - 1]?.name;
  }

  show(labels) {
    this.labels = labels;
    this.#root.replaceChildren(...labels.map((label, n) => this.#button(label, n)));
    if (this.adder) this.#root.append(this.adder);
    this.mark();
  }

  /** Count along with what was just given, until the server counts again. */
  count(name, change) {
    const label = this.labels.find((one) => one.name === name);
    if (!label) return;
    label.images = Math.max(0, label.images + change);
    const number = this.#root.querySelector(`[data-label="${CSS.escape(name)}"] .number`);
    if (number) number.textContent = label.images;
  }

  mark(brush = this.brush) {
    this.brush = brush;
    for (const button of this.#root.querySelectorAll("[data-label]"))
      button.setAttribute("aria-pressed", String(button.dataset.label === brush));
  }

  #button(label, n) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = label.name;
    button.title = `means ${label.meaning}; ${label.images} images have it`;
    const key = document.createElement("kbd");
    key.textContent = n < 9 ? n + 1 : "";
    key.hidden = n >= 9;
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.backgroundColor = label.colour;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = label.name;
    const number = document.createElement("span");
    number.className = "number quiet";
    number.textContent = label.images;
    button.append(key, swatch, name, number);
    button.addEventListener("click", () => this.#chosen(label.name));
    return button;
  }
}

/** The dialog that defines a label; `defined` is called with all labels of the plot and the name of the new one. */
export function defining(dialog, plot, labels, defined) {
  const form = dialog.querySelector("form");
  form.colour.addEventListener("input", () => (form.choose.checked = true));
  form.addEventListener("submit", async (event) => {
    if (event.submitter?.value !== "define") return;
    event.preventDefault();
    const name = form.elements.name.value.trim();
    if (labels().some((label) => label.name === name)) {
      note(`There is a label ${name} already.`, { trouble: true });
      return;
    }
    const body = { name, meaning: form.elements.meaning.value };
    if (form.choose.checked) body.colour = form.colour.value;
    const all = await trying(() => ask("POST", `/api/v1/plots/${encodeURIComponent(plot)}/labels`, body));
    if (!all) return;
    form.reset();
    dialog.close();
    defined(all, name);
  });
  return () => dialog.showModal();
}
