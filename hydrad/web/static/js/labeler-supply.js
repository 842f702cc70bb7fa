// Images as they are wanted: fetched ahead, their pictures too, cut into pages, with those that look alike folded.

import { ask } from "./house.js";
import { alike, signature } from "./labeler-likeness.js";

const AT_ONCE = 240; // tiles asked for at a time
const AHEAD = 3; // pages whose pictures are looked at for likeness
const LOADED_WITHIN_MS = 4000; // a picture that takes longer comes when it comes
const SHOWN_WITHIN_MS = 4000; // a page is shown by then, and what is not loaded is not folded
const WIDTHS = [160, 320, 640]; // thumbnails the server makes

/** The images of one plot, in one mode, page by page. */
export class Supply {
  #query;
  #known;
  #fetched = new Map(); // by content: every tile there was
  #queue = []; // fetched, on no page yet
  #more = true;
  #asking = null;
  #ready = null; // the next page, being made
  #wide = 160;
  #wanted = false; // somebody waits for the page that is being made

  /**
   * query: of the API's sheet, with plot and mode.
   * known: what is on its way to the server, asked with an image's content.
   * met: called with each answer of the server.
   */
  constructor(query, { known, met }) {
    this.#query = query;
    this.#known = known;
    this.met = met;
  }

  get folds() {
    return this.#query.mode === "new";
  }

  /** How wide tiles are drawn, in CSS pixels. */
  drawn(width) {
    const wanted = width * Math.min(devicePixelRatio || 1, 2);
    this.#wide = WIDTHS.find((one) => one >= wanted) ?? WIDTHS.at(-1);
  }

  /**
   * The next page: at most so many tiles, each with the ones that look like it; empty when there are no more.
   *
   * count: tells how many, asked when the first of them are known.
   */
  async next(count) {
    const made = this.#ready ?? this.#compose(count);
    this.#ready = null;
    this.#wanted = true;
    return made;
  }

  /** Make the next page already. */
  prepare(count) {
    if (this.#ready !== null) return;
    this.#wanted = false;
    this.#ready = this.#compose(count);
    this.#ready.catch(() => {
      this.#ready = null; // asked again when it is wanted
    });
  }

  /** Give back what was prepared, because pages have another size now. */
  async refit(count) {
    const ready = this.#ready;
    if (ready === null) return;
    this.#ready = ready.then((tiles) => {
      this.#queue.unshift(...tiles.flatMap((tile) => [tile, ...tile.members]));
      return this.#compose(count);
    });
  }

  async #compose(counted) {
    await this.#fill(1);
    const count = counted();
    const ahead = count * (this.folds ? AHEAD : 1);
    await this.#fill(ahead);
    const candidates = this.#queue.slice(0, ahead);
    const pictures = candidates.map((tile) => this.#picture(tile));
    const late = new Promise((done) => setTimeout(done, SHOWN_WITHIN_MS));
    const page = [];
    const used = new Set();
    for (const [n, tile] of candidates.entries()) {
      if (!this.folds) {
        if (page.length < count) page.push(tile);
        used.add(tile);
        continue;
      }
      if (this.#wanted && page.length >= count) break;
      await Promise.race([pictures[n], late]);
      const leader = page.find((one) => like(one, tile));
      if (leader) leader.members.push(tile);
      else if (page.length < count) page.push(tile);
      else continue;
      used.add(tile);
    }
    this.#queue = this.#queue.filter((tile) => !used.has(tile));
    for (const tile of this.#queue.slice(0, count)) this.#picture(tile);
    return page;
  }

  async #fill(count) {
    while (this.#queue.length < count && this.#more) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null;
      });
      await this.#asking;
    }
  }

  async #ask() {
    const passed = [...this.#fetched.values()].filter((tile) => this.#stays(tile)).length;
    const words = new URLSearchParams({ ...this.#query, limit: AT_ONCE, skip: Math.min(passed, 100000) });
    const sheet = await ask("GET", `/api/v1/labeler/sheet?${words}`);
    this.met(sheet);
    let fresh = 0;
    for (const tile of sheet.tiles) {
      if (this.#fetched.has(tile.sha256)) continue;
      fresh += 1;
      const pending = this.#known(tile.sha256);
      if (pending !== undefined) tile.label = pending;
      this.#fetched.set(tile.sha256, tile);
      Object.assign(tile, { members: [], element: null, picture: null, signature: null });
      if (pending === undefined || !this.folds) this.#queue.push(tile);
    }
    this.#more = sheet.more && fresh > 0;
  }

  /** Whether the server would put this tile on the sheet again. */
  #stays(tile) {
    if (this.folds) return tile.label === null;
    return tile.label !== null && (!this.#query.label || tile.label === this.#query.label);
  }

  /** Load a tile's picture, once; resolves when it is there, cannot be had, or takes too long. */
  #picture(tile) {
    tile.loading ??= this.#load(tile);
    return tile.loading;
  }

  async #load(tile) {
    const picture = new Image();
    picture.alt = "";
    picture.draggable = false;
    picture.src = `/images/${tile.sha256}/thumbnail?width=${this.#wide}`;
    tile.picture = picture;
    const late = new Promise((done) => setTimeout(done, LOADED_WITHIN_MS));
    const there = picture.decode().then(
      () => {
        if (this.folds) tile.signature = signature(picture);
      },
      () => {
        tile.broken = true;
        tile.element?.classList.add("broken");
      },
    );
    await Promise.race([there, late]);
  }
}

/** Two images that one label fits for sure: of one run, the model says the same of both, and they look alike. */
function like(one, other) {
  return (
    one.run === other.run &&
    one.said?.label === other.said?.label &&
    one.said?.confirmed === other.said?.confirmed &&
    alike(one.signature, other.signature)
  );
}
