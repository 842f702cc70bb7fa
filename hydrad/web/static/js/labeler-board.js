// The page of tiles: drawn, moved over, selected; by keyboard, mouse or finger.

const GAP = 8; // CSS pixels, as labeler.css has it
const CAPTION = 34; // height of what is written below a tile's picture, and its border
const FEWEST = 12;
const MOST = 60;

const WORDS = {
  novel: "unlike anything known",
  doubted: "the model is not sure",
  faulty: "said to be wrong",
  spread: "",
  unjudged: "no model",
  disputed: "the model says otherwise",
  labelled: "",
};

/** Draws one page of tiles and knows which of them are meant. */
export class Board {
  tiles = [];
  focus = 0;
  selected = new Set();
  #root;
  #anchor = 0;
  #labels = new Map(); // by name: { colour, key }
  #drag = null;
  #pointer = "mouse"; // what was pointed with last
  #width = 180;
  #shape = 1.5;

  /** deeds: pressed(tile, { first, drag }), ranged(tiles), opened(tile), unfolded(tile), moved(). */
  constructor(root, deeds) {
    this.#root = root;
    this.deeds = deeds;
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointerover", (event) => this.#over(event));
    addEventListener("pointerup", () => (this.#drag = null));
    addEventListener("pointercancel", () => (this.#drag = null));
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("dblclick", (event) => {
      const n = this.#at(event);
      if (n >= 0 && this.#pointer === "mouse" && !event.target.closest(".alike")) this.deeds.opened(this.tiles[n]);
    });
    root.addEventListener("focusin", (event) => {
      const n = this.#at(event);
      if (n >= 0 && n !== this.focus) this.#rove(n);
    });
  }

  /** How many tiles of this width fit without scrolling, and at least a dozen. */
  fit(width, shape) {
    this.#width = width;
    this.#shape = shape;
    this.#root.style.setProperty("--tile", `${width}px`);
    this.#root.style.setProperty("--shape", String(shape));
    const box = this.#root.getBoundingClientRect();
    const columns = Math.max(1, Math.floor((box.width + GAP) / (width + GAP)));
    const actual = (box.width + GAP) / columns - GAP;
    const height = innerHeight - (box.top + scrollY) - 12;
    const rows = Math.max(1, Math.floor((height + GAP) / (actual / shape + CAPTION + GAP)));
    return Math.min(MOST, Math.max(FEWEST, columns * rows));
  }

  /** The largest width at which two dozen tiles can be seen at once. */
  suits(shape) {
    for (let width = 480; width > 140; width -= 10) if (this.fit(width, shape) >= 24) return width;
    return 140;
  }

  paints(labels) {
    this.#labels = new Map(labels.map((label, n) => [label.name, { ...label, key: n < 9 ? n + 1 : null }]));
  }

  show(tiles, focus = 0) {
    this.tiles = tiles;
    this.selected.clear();
    this.#anchor = this.focus = Math.max(0, Math.min(focus, tiles.length - 1));
    this.#root.replaceChildren(...tiles.map((tile, n) => this.#draw(tile, n)));
    this.refresh();
  }

  /** Write anew what may have changed: labels, selection, counts. */
  refresh(tiles = this.tiles) {
    for (const tile of tiles) if (tile.element) this.#write(tile);
  }

  /** Bring the keyboard to the focused tile. */
  grab() {
    this.tiles[this.focus]?.element.focus({ preventScroll: false });
  }

  /** The tiles that a label is meant for: the selected ones, else the focused one. */
  meant() {
    if (this.selected.size) return this.tiles.filter((tile) => this.selected.has(tile));
    return this.tiles.length ? [this.tiles[this.focus]] : [];
  }

  select(tiles) {
    const before = [...this.selected];
    this.selected = new Set(tiles);
    this.refresh([...before, ...tiles]);
  }

  toggle(tile) {
    if (!this.selected.delete(tile)) this.selected.add(tile);
    this.#anchor = this.tiles.indexOf(tile);
    this.refresh([tile]);
  }

  /** Move by columns and rows; with a range, select from where it began. */
  move(columns, rows, { range = false } = {}) {
    const wide = getComputedStyle(this.#root).gridTemplateColumns.split(" ").length;
    this.go(this.focus + columns + rows * wide, { range });
  }

  go(to, { range = false } = {}) {
    if (!this.tiles.length) return;
    const n = Math.max(0, Math.min(to, this.tiles.length - 1));
    if (range) this.select(this.#between(this.#anchor, n));
    else if (this.selected.size) this.select([]);
    if (!range) this.#anchor = n;
    this.#rove(n);
    this.grab();
  }

  #rove(n) {
    const before = this.tiles[this.focus];
    this.focus = n;
    if (before?.element) before.element.tabIndex = -1;
    this.tiles[n].element.tabIndex = 0;
    this.deeds.moved();
  }

  #between(one, other) {
    return this.tiles.slice(Math.min(one, other), Math.max(one, other) + 1);
  }

  #at(event) {
    const element = event.target.closest(".tile");
    return element ? this.tiles.findIndex((tile) => tile.element === element) : -1;
  }

  #down(event) {
    const n = this.#at(event);
    this.#pointer = event.pointerType;
    if (n < 0 || event.pointerType === "touch" || event.button !== 0 || event.target.closest(".alike")) return;
    event.preventDefault(); // no picture is dragged away, no text selected
    if (event.shiftKey) {
      const tiles = this.#between(this.#anchor, n);
      this.#rove(n);
      this.grab();
      this.deeds.ranged(tiles);
      return;
    }
    this.#anchor = n;
    this.#rove(n);
    this.grab();
    this.#drag = { from: n, touched: new Set([n]), token: {} };
    this.deeds.pressed(this.tiles[n], { drag: this.#drag.token, first: true, more: event.ctrlKey || event.metaKey });
  }

  #over(event) {
    const n = this.#at(event);
    if (!this.#drag || n < 0 || !(event.buttons & 1) || this.#drag.touched.has(n)) return;
    this.#drag.touched.add(n);
    this.#rove(n);
    this.deeds.pressed(this.tiles[n], { drag: this.#drag.token, first: false, more: true });
  }

  #click(event) {
    const n = this.#at(event);
    if (n < 0) return;
    if (event.target.closest(".alike")) this.deeds.unfolded(this.tiles[n]);
    else if (event.pointerType === "touch") {
      // A finger that scrolls labels nothing: only a tap does.
      this.#anchor = n;
      this.#rove(n);
      this.deeds.pressed(this.tiles[n], { drag: {}, first: true, more: true });
    }
  }

  #draw(tile, n) {
    const element = document.createElement("div");
    element.className = "tile";
    element.setAttribute("role", "option");
    element.tabIndex = n === this.focus ? 0 : -1;
    element.dataset.sha256 = tile.sha256;
    const frame = document.createElement("div");
    frame.className = "frame";
    if (tile.picture) frame.append(tile.picture);
    const lost = document.createElement("span");
    lost.className = "lost";
    lost.textContent = "picture not to be had";
    const fold = document.createElement("span");
    fold.className = "alike";
    fold.title = "Look alike: one label is given to all of them. Click (or f) to see each.";
    frame.append(lost, fold);
    const given = document.createElement("div");
    given.className = "given";
    const said = document.createElement("div");
    said.className = "said";
    said.textContent = tile.said
      ? `${tile.said.confirmed ? "" : "? "}${tile.said.label} ${tile.said.confidence.toFixed(2)}`
      : "no model";
    said.title = [WORDS[tile.why], tile.run === null ? "" : `run ${tile.run}`, tile.taken_at ?? ""].filter(Boolean).join(", ");
    element.append(frame, given, said);
    if (WORDS[tile.why]) element.dataset.why = tile.why;
    element.classList.toggle("broken", Boolean(tile.broken));
    tile.element = element;
    return element;
  }

  #write(tile) {
    const { element } = tile;
    const label = tile.label === null ? null : (this.#labels.get(tile.label) ?? { name: tile.label, colour: "#808080" });
    const given = element.querySelector(".given");
    given.replaceChildren();
    if (label) {
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.backgroundColor = label.colour;
      given.append(swatch, label.name);
    }
    element.style.setProperty("--label", label ? label.colour : "transparent");
    element.classList.toggle("has-label", Boolean(label));
    element.setAttribute("aria-selected", String(this.selected.has(tile)));
    const fold = element.querySelector(".alike");
    fold.textContent = tile.members.length ? `+${tile.members.length}` : "";
    fold.hidden = !tile.members.length;
    const words = [
      `Image ${this.tiles.indexOf(tile) + 1} of ${this.tiles.length}`,
      label ? `labelled ${label.name}` : "not labelled",
      tile.said ? `model: ${tile.said.label} at ${tile.said.confidence.toFixed(2)}` : "no model",
      WORDS[tile.why],
      tile.run === null ? "" : `run ${tile.run}`,
      tile.members.length ? `and ${tile.members.length} that look alike` : "",
    ];
    element.setAttribute("aria-label", words.filter(Boolean).join(", "));
  }
}
