// The labeler: a page of images, the doubtful first, from the keyboard. What is given is saved at once.

import { ask, island, note, trying } from "./house.js";
import { Board } from "./labeler-board.js";
import { thank } from "./labeler-leaders.js";
import { Palette, defining } from "./labeler-palette.js";
import { Outbox, leftByOthers } from "./labeler-saving.js";
import { Supply } from "./labeler-supply.js";
import { Closer } from "./labeler-zoom.js";

const COUNT_AGAIN_MS = 1500; // after labels were saved
const facts = island("facts");
const { plot, person } = facts;
const element = (id) => document.getElementById(id);

const pages = []; // those that were shown, so that one can go back
let page = -1;
let supply;
let shape = 1.5;
let width = 0;
let turning = false;
let counting = null;
let only = new URLSearchParams(location.search).get("image"); // the image that a report or a list wants looked at again
const deeds = []; // what can be undone: { page, changes: [{ tile, before }], drag }

const outbox = new Outbox(person, { told: tellSaved, settled: settle });
const palette = new Palette(element("palette"), press, () => define());
const zoomPalette = new Palette(element("zoom-palette"), (name) => give(board.meant(), name, { advance: true }));
const closer = new Closer(element("zoom"));
const board = new Board(element("board"), {
  pressed: touch,
  ranged: (tiles) => (palette.brush ? give(tiles, palette.brush) : board.select(tiles)),
  opened: () => palette.brush || look(),
  unfolded: unfold,
  moved: () => closer.open && closer.show(board.tiles[board.focus]),
});
const define = defining(element("define"), plot, () => palette.labels, (labels, name) => {
  showLabels(labels);
  palette.mark(name);
  note(`${name} is there: click images to give it, or press its number.`);
});

// ---- labels ----

function showLabels(labels) {
  palette.show(labels);
  zoomPalette.show(labels);
  board.paints(labels);
  board.refresh();
  const good = palette.good;
  element("rest").disabled = !good;
  element("rest").querySelector("span").textContent = `The rest is ${good ?? "good"}`;
  element("rest").title = good ? "" : "Define a label that means good first";
  const select = element("sought").elements.label;
  const chosen = select.value;
  select.replaceChildren(new Option("any", ""), ...labels.map((label) => new Option(label.name, label.name)));
  select.value = chosen;
}

/** Give a label to tiles, and to what is folded into them; null takes it back. */
function give(tiles, label, { advance = false, drag = null } = {}) {
  const changes = [];
  for (const tile of tiles.flatMap((one) => [one, ...one.members])) {
    if (tile.label === label) continue;
    changes.push({ tile, before: tile.label });
    set(tile, label);
  }
  if (changes.length) {
    const last = deeds.at(-1);
    if (drag && last?.drag === drag) last.changes.push(...changes);
    else deeds.push({ page: pages[page], changes, drag, focus: board.focus });
    save(changes);
  }
  board.refresh(tiles);
  if (advance && tiles.length) {
    board.select([]);
    board.go(board.tiles.indexOf(tiles.at(-1)) + 1);
  }
  element("undo").disabled = !deeds.length;
  where();
}

function set(tile, label) {
  if (tile.label !== null) palette.count(tile.label, -1);
  if (label !== null) palette.count(label, 1);
  tile.label = label;
}

function save(changes) {
  outbox.add(changes.map(({ tile }) => ({ plot, sha256: tile.sha256, label: tile.label })));
}

async function undo() {
  const deed = deeds.pop();
  if (!deed) return;
  for (const { tile, before } of deed.changes) set(tile, before);
  save(deed.changes);
  const there = pages.indexOf(deed.page);
  if (there >= 0 && there !== page) turnTo(there, deed.focus);
  else board.refresh();
  if (there >= 0) board.go(deed.focus);
  element("undo").disabled = !deeds.length;
  where();
}

function restIsGood() {
  const rest = board.tiles.filter((tile) => tile.label === null);
  if (palette.good && rest.length) give(rest, palette.good);
}

/** A label's button: for what is selected, else for the clicks that follow. */
function press(name) {
  if (board.selected.size) give(board.meant(), name, { advance: true });
  else palette.mark(palette.brush === name ? null : name);
}

/** A tile under the mouse or a finger. */
function touch(tile, { drag, first, more }) {
  const { brush } = palette;
  if (!brush) {
    if (!more) board.select([]);
    else if (first || !board.selected.has(tile)) board.toggle(tile);
  } else {
    give([tile], first && tile.label === brush ? null : brush, { drag });
  }
}

function unfold(tile) {
  if (!tile.members.length) return;
  const at = board.tiles.indexOf(tile);
  const members = tile.members.splice(0);
  pages[page].splice(at + 1, 0, ...members);
  board.show(pages[page], at);
  board.grab();
  where();
}

// ---- pages ----

function begin(query) {
  pages.length = 0;
  page = -1;
  supply = new Supply({ plot, ...query }, { known: (sha256) => outbox.pending(plot, sha256), met });
  return turn(1);
}

let measured = false;

function met(sheet) {
  outbox.clock(sheet.now);
  closer.reference = sheet.reference;
  if (measured || !sheet.tiles.length) return;
  measured = true;
  const first = sheet.tiles[0];
  shape = Math.min(3, Math.max(0.5, first.width / Math.max(1, first.height)));
  width = Number(remembered()) || board.suits(shape);
  element("size").value = width;
  supply.drawn(width);
}

function count() {
  return board.fit(width || 180, shape);
}

async function turn(by) {
  if (turning) return;
  outbox.flush();
  if (by < 0) {
    if (page > 0) turnTo(page - 1);
    return;
  }
  if (page + 1 < pages.length) {
    turnTo(page + 1);
    return;
  }
  turning = true;
  const from = supply;
  const tiles = await trying(() => supply.next(count));
  turning = false;
  if (from !== supply) return; // another mode was chosen meanwhile
  if (tiles?.length) {
    pages.push(tiles);
    turnTo(pages.length - 1);
    supply.prepare(count);
  } else if (tiles) {
    finish();
  }
}

function turnTo(n, focus = 0) {
  page = n;
  element("end").hidden = true;
  element("board").hidden = false;
  board.show(pages[page], focus);
  board.grab();
  where();
}

async function finish() {
  const editing = element("mode-edit").getAttribute("aria-pressed") === "true";
  element("end").hidden = false;
  element("end-words").textContent = editing
    ? pages.length ? "These were all of them." : "No labelled image is like that."
    : pages.length
      ? "You have seen every image of this plot that waits for a label. Thank you!"
      : "No image of this plot waits for a label.";
  if (!pages.length) element("board").hidden = true;
  where();
  element("anew").focus();
  const plots = await ask("GET", "/api/v1/labeler/plots").catch(() => []);
  const following = plots.find((one) => one.waiting && one.plot !== plot);
  element("following").hidden = !following;
  if (!following) return;
  element("following").textContent = `On to ${following.plot}`;
  element("following").href = `/labeler?plot=${encodeURIComponent(following.plot)}`;
}

function where() {
  const tiles = board.tiles;
  const open = tiles.filter((tile) => tile.label === null).length;
  const folded = tiles.reduce((sum, tile) => sum + tile.members.length, 0);
  const words = page < 0 ? "" : `Page ${page + 1}: ${tiles.length} images${folded ? ` and ${folded} that look alike` : ""}, ${open ? `${open} without a label` : "all labelled"}`;
  element("where").textContent = words;
  element("previous").disabled = page <= 0;
}

// ---- saved, counted, thanked ----

function tellSaved({ waiting, trouble, kept }) {
  const line = element("saved");
  const before = line.dataset.state;
  line.dataset.state = trouble || (waiting ? "saving" : "saved");
  const labels = waiting === 1 ? "1 label waits" : `${waiting} labels wait`;
  const place = kept ? "in this browser" : "in this page: leave it open, this browser keeps nothing";
  line.textContent = {
    saved: "All saved",
    saving: `Saving ${waiting}…`,
    away: `Not saved: server away. ${labels} ${place}.`,
    login: `Not saved: log in again. ${labels} ${place}.`,
    forbidden: `Not saved: you may not label any more. ${labels} ${place}.`,
  }[line.dataset.state];
  if (trouble && trouble !== before) note(line.textContent, { trouble: true });
}

function settle(answers) {
  const told = { left: 0, unknown: 0, other: [] };
  for (const { effect } of answers) {
    if (effect === "left") told.left += 1;
    else if (effect === "unknown") told.unknown += 1;
    else if (effect === "no_such_label" || effect?.startsWith("refused")) told.other.push(effect);
  }
  if (told.left) note(`${told.left} of your labels came late: somebody has said something else since, and that stands.`, { trouble: true });
  if (told.unknown) note(`${told.unknown} images are not known to the server any more.`, { trouble: true });
  if (told.other.length) note(`${told.other.length} labels were not taken: ${told.other[0]}`, { trouble: true });
  clearTimeout(counting);
  counting = setTimeout(countAgain, COUNT_AGAIN_MS);
}

async function countAgain() {
  const leaders = await thank(element("leaders"), person, plot);
  if (leaders) element("people").replaceChildren(...leaders.all.map((one) => new Option(one.person)));
  if (outbox.waiting) return; // what is on its way is counted here already
  const labels = await ask("GET", `/api/v1/plots/${encodeURIComponent(plot)}/labels`).catch(() => null);
  if (labels && !outbox.waiting) showLabels(labels);
}

// ---- modes ----

function mode(name) {
  for (const one of ["new", "edit"]) element(`mode-${one}`).setAttribute("aria-pressed", String(one === name));
  element("sought").hidden = name !== "edit";
  element("only").hidden = true;
  history.replaceState(null, "", name === "edit" ? "#edit" : location.pathname + location.search);
  return name === "edit" ? seek() : begin({ mode: "new" });
}

function seek() {
  const form = element("sought").elements;
  const query = { mode: "edit", disputed: form.disputed.checked };
  if (only) query.image = only;
  element("only").hidden = !only;
  for (const name of ["label", "by", "run"]) if (form[name].value.trim()) query[name] = form[name].value.trim();
  // Days of whoever looks; the last one is included.
  if (form.since.value) query.since = new Date(`${form.since.value}T00:00`).toISOString();
  if (form.until.value) query.until = new Date(Date.parse(`${form.until.value}T00:00`) + 86_400_000).toISOString();
  return begin(query);
}

function look() {
  if (board.tiles.length) closer.show(board.tiles[board.focus]);
}

// ---- keys, buttons ----

const KEYS = {
  ArrowLeft: () => board.move(-1, 0),
  ArrowRight: () => board.move(1, 0),
  ArrowUp: () => board.move(0, -1),
  ArrowDown: () => board.move(0, 1),
  h: () => board.move(-1, 0),
  l: () => board.move(1, 0),
  k: () => board.move(0, -1),
  j: () => board.move(0, 1),
  Home: () => board.go(0),
  End: () => board.go(Infinity),
  " ": () => board.tiles.length && board.toggle(board.tiles[board.focus]),
  Enter: () => turn(1),
  PageDown: () => turn(1),
  PageUp: () => turn(-1),
  g: restIsGood,
  u: undo,
  x: () => give(board.meant(), null),
  Delete: () => give(board.meant(), null),
  Backspace: () => give(board.meant(), null),
  f: () => board.tiles.length && unfold(board.tiles[board.focus]),
  n: () => define(),
  "?": () => element("help").showModal(),
  Escape: () => board.select([]),
  z: look,
};
const RANGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], H: [-1, 0], L: [1, 0], K: [0, -1], J: [0, 1] };
const CLOSER = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "h", "j", "k", "l", "u", "x", "Delete"]); // keys that work there too

document.addEventListener("keydown", (event) => {
  const there = event.target.closest?.("input, select, textarea, button, a, [contenteditable], dialog");
  const looking = closer.open;
  if (event.altKey || (there && !looking && !(there.matches("button") && !["Enter", " "].includes(event.key)))) return;
  if (document.querySelector("dialog[open]:not(#zoom)")) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key === "z" && !event.shiftKey) act(event, undo);
    else if (event.key === "a" && !looking) act(event, () => board.select(board.tiles));
    return;
  }
  if (looking && event.key === "z") act(event, () => closer.close());
  else if (looking && !CLOSER.has(event.key) && !/^[1-9]$/.test(event.key)) return;
  else if (event.shiftKey && RANGES[event.key] && !looking) act(event, () => board.move(...RANGES[event.key], { range: true }));
  else if (/^[1-9]$/.test(event.key)) act(event, () => palette.name(Number(event.key)) && give(board.meant(), palette.name(Number(event.key)), { advance: true }));
  else if (KEYS[event.key]) act(event, KEYS[event.key]);
});

function act(event, deed) {
  event.preventDefault();
  deed();
}

const BUTTONS = { rest: restIsGood, undo, next: () => turn(1), previous: () => turn(-1), "zoom-button": look, "zoom-close": () => closer.close() };
for (const [id, deed] of Object.entries(BUTTONS)) element(id).addEventListener("click", deed);
element("help-button").addEventListener("click", () => element("help").showModal());
element("anew").addEventListener("click", () => mode(element("mode-edit").getAttribute("aria-pressed") === "true" ? "edit" : "new"));
for (const name of ["new", "edit"]) element(`mode-${name}`).addEventListener("click", () => mode(name));
element("all").addEventListener("click", () => {
  only = null;
  mode("edit");
});
element("sought").addEventListener("submit", (event) => {
  event.preventDefault();
  seek();
});
element("size").addEventListener("input", (event) => {
  width = Number(event.target.value);
  supply.drawn(width);
  supply.refit(count);
  try {
    localStorage.setItem("hydrad.tile", width);
  } catch {
    // it holds for this page only
  }
});

function remembered() {
  try {
    return localStorage.getItem("hydrad.tile");
  } catch {
    return null;
  }
}

showLabels(facts.labels);
for (const [other, labels] of leftByOthers(person)) note(`${labels} labels that ${other} gave in this browser wait for ${other} to come back.`, { trouble: true });
countAgain();
mode(only || location.hash === "#edit" ? "edit" : "new");
