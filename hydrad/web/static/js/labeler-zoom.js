// One image closer, beside one of the same plot on which all is well.

/** The dialog. */
export class Closer {
  reference = null; // a tile, or null where none is known
  #dialog;

  constructor(dialog) {
    this.#dialog = dialog;
  }

  get open() {
    return this.#dialog.open;
  }

  close() {
    this.#dialog.close();
  }

  show(tile) {
    const find = (id) => this.#dialog.querySelector(`#${id}`);
    look(find("zoom-this"), tile);
    find("zoom-words").textContent = words(tile);
    const beside = this.reference && this.reference.sha256 !== tile.sha256;
    find("zoom-beside").hidden = !beside;
    if (beside) {
      look(find("zoom-reference"), this.reference);
      const sure = this.reference.label ? `labelled ${this.reference.label}` : "as the model is sure of it";
      find("zoom-reference-words").textContent = ["For comparison: all is well", sure, when(this.reference)].join(" · ");
    }
    if (!this.open) this.#dialog.showModal();
  }
}

function look(picture, tile) {
  const address = `/images/${tile.sha256}`;
  if (picture.getAttribute("src") !== address) picture.src = address;
  picture.alt = tile.label ? `labelled ${tile.label}` : "not labelled";
}

function words(tile) {
  const said = tile.said
    ? `model: ${tile.said.label} at ${tile.said.confidence.toFixed(2)}${tile.said.confirmed ? "" : ", not confirmed"}`
    : "no model";
  const label = tile.label ? `labelled ${tile.label}${tile.by ? ` by ${tile.by}` : ""}` : "not labelled";
  return [label, said, when(tile)].filter(Boolean).join(" · ");
}

function when(tile) {
  const run = tile.run === null ? "" : `run ${tile.run}`;
  return [run, tile.taken_at ? new Date(tile.taken_at).toLocaleString() : ""].filter(Boolean).join(", ");
}
