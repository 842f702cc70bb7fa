// How the system itself is: drawn from one document, asked for anew every other second.
import { Refused, ago, ask, badge, island, note, shape, trying } from "./house.js";
import { drawHistory } from "./settings.js";

const EVERY_MS = 2000;
const WITHIN_MS = 6000; // an answer that takes longer is none
const CHANGES_EVERY = 5; // looks
const MOST_CHANGES = 20;
const LEVELS = { well: "good", still: "nobeam", watch: "suspect", unknown: "unknown", bad: "bad" };
const SLOWEST = 6; // powers of ten above 0.1 ms

const live = document.getElementById("live");
const clock = new Intl.DateTimeFormat(undefined, { timeZone: live.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const moment = new Intl.DateTimeFormat(undefined, { timeZone: live.dataset.zone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const weekday = new Intl.DateTimeFormat(undefined, { timeZone: live.dataset.zone, weekday: "short" });
const hour = new Intl.DateTimeFormat(undefined, { timeZone: live.dataset.zone, hour: "2-digit", hourCycle: "h23" });
const grouped = new Intl.NumberFormat();

let now = island("document"); // the newest document
let heardAt = Date.now();
const shown = new Map(); // what each place was drawn from

/** An element with its text or children. */
function make(tag, words, ...children) {
  const { text, ...attributes } = words;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Draw a place when what it shows has changed; else focus and selection in it stay as they are. */
function place(id, from, draw) {
  const key = JSON.stringify(from ?? null);
  if (shown.get(id) === key) return;
  shown.set(id, key);
  document.getElementById(id).replaceChildren(...[draw(from)].flat());
}

function levelled(level, word) {
  return make("span", { class: `word level-${level}` }, shape(LEVELS[level]), make("span", { text: word }));
}

function fact(name, value) {
  return make("div", {}, make("dt", { text: name }), make("dd", {}, typeof value === "object" ? value : make("span", { text: value })));
}

function number(value, digits = 1) {
  return value === null || value === undefined ? "–" : value.toLocaleString(undefined, { maximumFractionDigits: digits });
}

function ms(value) {
  if (value === null) return "–";
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 1000) return `${value.toPrecision(3)} ms`;
  return `${(value / 1000).toPrecision(3)} s`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? `${Math.round(1000 * value)} ms` : value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value / 60)} min`;
}

function plotLink(plot) {
  return make("a", { href: `/plot/${encodeURIComponent(plot)}`, text: plot });
}

// ---- parts, beam, way ----

function drawPart(part) {
  return make(
    "li",
    { class: `part level-${part.level}` },
    make("h3", { text: part.name }),
    levelled(part.level, part.word),
    make("p", { text: part.sentence }),
  );
}

function drawBeam(beam) {
  if (!beam) return [make("p", { class: "quiet", text: "Nobody says how the beam is." })];
  const facts = [
    fact("State", beam.state),
    fact("Current", beam.current === null ? "–" : `${number(beam.current, 3)} ${beam.units}`),
    fact("On above", beam.on_above === null ? "–" : `${number(beam.on_above, 6)} ${beam.units}`),
    fact("Read", beam.read_at ? clock.format(new Date(beam.read_at)) : "–"),
    fact("Plots that need it, 30 min", `${beam.seen.plots}`),
    fact("Full without beam", `${beam.seen.full}`),
    fact("Empty with beam", `${beam.seen.empty}`),
  ];
  return facts;
}

function drawWarning(words) {
  return words ? [make("p", { class: "warning" }, shape("suspect"), make("span", { text: words }))] : [];
}

function drawStage(stage) {
  const track = make("span", { class: "track", "aria-hidden": "true" });
  for (const kind of ["p99", "p50"]) {
    const value = stage[`${kind}_ms`];
    if (value === null) continue;
    const bar = make("span", { class: kind });
    bar.style.width = `${Math.min(100, Math.max(1, (100 * Math.log10(Math.max(value, 0.1) / 0.1)) / SLOWEST))}%`;
    track.append(bar);
  }
  return make(
    "tr",
    {},
    make("th", { scope: "row", text: stage.name }, make("small", { text: stage.about })),
    make("td", { class: "number", text: ms(stage.p50_ms) }),
    make("td", { class: "number", text: ms(stage.p99_ms) }),
    make("td", {}, track),
  );
}

// ---- columns over time ----

/** Columns with a table of the same figures beneath.
 *  columns: {name, tick, total, parts: [[class, value], …]}; marks: [[value, words], …]. */
function drawColumns({ about, columns, marks = [], heads, legend = [] }) {
  const highest = Math.max(...columns.map((one) => one.total), ...marks.map(([value]) => value * 1.1), 1);
  const chart = make("div", { class: "columns", role: "img", "aria-label": about });
  const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
  for (const column of columns) {
    const stack = make("div", { class: "column", title: `${column.name}: ${column.cells.join(", ")}` });
    for (const [kind, value] of column.parts) {
      const bar = make("div", { class: `bar ${value ? kind : "none"}` });
      bar.style.height = `${(100 * value) / highest}%`;
      stack.append(bar);
    }
    chart.append(stack);
    ticks.append(make("span", { text: column.tick }));
  }
  for (const [value, words] of marks) {
    const mark = make("div", { class: "mark" }, make("span", { text: words }));
    mark.style.bottom = `${(100 * value) / highest}%`;
    chart.append(mark);
  }
  const body = columns.map((column) =>
    make("tr", {}, make("th", { scope: "row", text: column.name }), ...column.cells.map((cell) => make("td", { class: "number", text: cell }))),
  );
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...heads.map((head, n) => make("th", { scope: "col", class: n ? "number" : undefined, text: head })))),
    make("tbody", {}, ...body.reverse()),
  );
  const named = legend.map(([kind, words]) => make("li", {}, make("i", { class: `bar ${kind}` }), words));
  const scrolls = make("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": `${about}: figures` }, table);
  return [
    chart,
    ticks,
    ...(named.length ? [make("ul", { class: "legend" }, ...named)] : []),
    make("details", {}, make("summary", { text: "As figures" }), scrolls),
  ];
}

function loadClass(slot) {
  return slot.load === "too much" ? "too" : slot.load;
}

const LOADS = [
  ["manageable", "manageable"],
  ["much", "much: more than 6 an hour"],
  ["too", "too much: more than 12 an hour"],
];

function drawHours(hours) {
  return drawColumns({
    about: "Alarms in each of the last 24 hours",
    heads: ["Hour", "Alarms", "Load"],
    marks: [[6, "6 manageable"], [12, "12 at most"]],
    legend: LOADS,
    columns: hours.map((slot, n) => ({
      name: moment.format(new Date(slot.start)),
      tick: n % 4 ? "" : hour.format(new Date(slot.start)),
      total: slot.alarms,
      cells: [`${slot.alarms}`, slot.load],
      parts: [[loadClass(slot), slot.alarms]],
    })),
  });
}

function drawShifts(shifts) {
  return drawColumns({
    about: "Alarms in each shift of the last seven days",
    heads: ["Shift from", "Alarms", "An hour", "Load"],
    marks: [[48, "48 manageable"], [96, "96 at most"]],
    columns: shifts.map((slot, n) => ({
      name: moment.format(new Date(slot.start)),
      tick: n % 3 ? "" : weekday.format(new Date(slot.start)),
      total: slot.alarms,
      cells: [`${slot.alarms}`, number(slot.per_h), slot.load],
      parts: [[loadClass(slot), slot.alarms]],
    })),
  });
}

const KINDS = [
  ["good", "good"],
  ["other", "no beam, no model, other"],
  ["unsure", "suspect, unfamiliar"],
  ["faulty", "bad, no data"],
];

function drawDays(days) {
  if (!days) return [make("p", { class: "quiet", text: "Not known yet." })];
  return drawColumns({
    about: "Images judged on each of the last 14 days",
    heads: ["Day", ...KINDS.map(([, words]) => words)],
    legend: KINDS,
    columns: days.map((day) => ({
      name: day.day,
      tick: day.day.slice(8),
      total: KINDS.reduce((sum, [kind]) => sum + day[kind], 0),
      cells: KINDS.map(([kind]) => grouped.format(day[kind])),
      parts: KINDS.map(([kind]) => [kind, day[kind]]),
    })),
  });
}

// ---- alarms ----

function loadWord(load) {
  return levelled({ manageable: "well", much: "watch", "too much": "bad" }[load], load);
}

function drawLoad(alarms) {
  if (!alarms) return [make("p", { class: "quiet", text: "Not known yet." })];
  const { answered } = alarms;
  const flood = alarms.floods.at(-1);
  return [
    fact("Last hour", `${alarms.last_hour}`),
    fact("24 h", `${alarms.day.alarms}, ${number(alarms.day.per_h)} an hour`),
    fact("24 h, load", loadWord(alarms.day.load)),
    fact("Worst hour of 24", `${alarms.day.worst_h}`),
    fact("7 days", `${alarms.week.alarms}, ${number(alarms.week.per_h, 2)} an hour`),
    fact("Floods, 24 h", flood ? levelled("bad", `${alarms.floods.length}, last ${clock.format(new Date(flood.start))}: ${flood.alarms} alarms`) : "none"),
    fact("Standing over 1 h", `${alarms.standing.length + alarms.standing_more}`),
    fact("Acknowledged, 7 days", `${answered.acknowledged} of ${answered.alarms}`),
    fact("Time to acknowledge", answered.median_s === null ? "–" : `${seconds(answered.median_s)} median, ${seconds(answered.p90_s)} for 90 %`),
  ];
}

function drawList(heads, rows, none) {
  if (!rows.length) return [make("p", { class: "quiet", text: none })];
  const head = make("tr", {}, ...heads.map((words, n) => make("th", { scope: "col", class: n ? "number" : undefined, text: words })));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, n) => make("td", { class: n ? "number" : undefined }, cell))));
  return [make("table", { class: "list" }, make("thead", {}, head), make("tbody", {}, ...body))];
}

function drawStanding({ standing, standing_more: more }) {
  const rows = standing.map((one) => [
    make("span", {}, badge(one.status), " ", plotLink(one.plot)),
    make("span", { text: moment.format(new Date(one.alarmed_at)) }),
    make("span", { text: one.acknowledged_by ?? "nobody yet" }),
  ]);
  const list = drawList(["Plot", "since", "seen by"], rows, "None.");
  return more ? [...list, make("p", { class: "quiet", text: `and ${more} more` })] : list;
}

function drawChattering({ chattering, restless }) {
  const rows = [
    ...chattering.map((one) => [plotLink(one.plot), `chatters: ${one.times} × 3 alarms in a minute, 24 h`]),
    ...restless.map((one) => [plotLink(one.plot), `came and went ${one.times} times in the last hour`]),
  ];
  return drawList(["Plot", "what it does"], rows, "None: no plot raised 3 alarms within a minute, or came and went 6 times in an hour.");
}

// ---- all of it ----

function draw() {
  const { alarms } = now;
  document.getElementById("as-of").textContent = clock.format(new Date(now.now));
  document.getElementById("as-of").dateTime = now.now;
  place("headline", [now.level, now.sentence], ([level, words]) => [make("span", { class: `level-${level}` }, shape(LEVELS[level])), words]);
  place("parts", now.parts, (parts) => parts.map(drawPart));
  place("beam-warning", now.beam?.seen.warning, drawWarning);
  place("beam", now.beam, drawBeam);
  place("flow", [now.images_per_s, now.latency_s, now.pending, now.outbox], ([rate, latency, pending, outbox]) => [
    fact("Images a second", number(rate, 2)),
    fact("File to PV, 99 % within", seconds(latency)),
    fact("Files waiting", number(pending)),
    fact("Waiting for the data base", number(outbox)),
  ]);
  place("stages", now.stages, (stages) => stages.map(drawStage));
  place("load", alarms, drawLoad);
  place("hours", alarms?.hours, (hours) => (hours ? drawHours(hours) : []));
  place("shifts", alarms?.shifts, (shifts) => (shifts ? drawShifts(shifts) : []));
  place("standing", alarms && { standing: alarms.standing, standing_more: alarms.standing_more }, (some) => (some ? drawStanding(some) : []));
  place("chattering", alarms && { chattering: alarms.chattering, restless: alarms.restless }, (some) => (some ? drawChattering(some) : []));
  place("frequent", alarms?.frequent, (some) => (some ? drawList(["Plot", "alarms"], some.map((one) => [plotLink(one.plot), `${one.times}`]), "None.") : []));
  place("days", now.days, drawDays);
  place("ledger", now.ledger, (ledger) => (ledger ? Object.entries(ledger).map(([outcome, files]) => fact(outcome, grouped.format(files))) : []));
  place("plots", now.plots, (plots) =>
    Object.entries(plots ?? {})
      .filter(([, count]) => count)
      .map(([status, count]) => make("li", {}, badge(status), ` ${grouped.format(count)}`)),
  );
  drawThreshold();
}

// ---- the beam's threshold ----

const form = document.getElementById("threshold");
let typed = false; // somebody is at it: what they typed stays

function drawThreshold() {
  if (!form) return;
  const field = form.elements.value;
  if (!typed && now.beam?.on_above != null) field.value = String(now.beam.on_above);
  const asked = Number(field.value);
  const { beam } = now;
  const words =
    !typed || !beam || beam.current === null || !(asked > 0) || beam.state === "UNKNOWN"
      ? ""
      : `At this threshold ${number(beam.current, 3)} ${beam.units} would be ${beam.current >= asked ? "ON" : "OFF"}.`;
  const would = document.getElementById("would");
  if (would.textContent !== words) would.textContent = words;
}

form?.elements.value.addEventListener("input", () => {
  typed = true;
  drawThreshold();
});
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = Number(form.elements.value.value);
  const done = await trying(() => ask("PUT", "/api/v1/beam/on_above", { value, reason: form.elements.reason.value }));
  if (!done) return;
  typed = false;
  form.elements.reason.value = "";
  if (now.beam) now.beam.on_above = done.value;
  note(`The beam is on above ${number(done.value, 6)} ${form.dataset.units} from now on; it was ${number(done.old, 6)}.`);
  draw();
});

// ---- what people changed ----

const { decides } = island("facts");
let newest; // of what is drawn

async function drawChanges() {
  const changes = await ask("GET", `/api/v1/settings/history?limit=${MOST_CHANGES}`);
  if (changes[0]?.id === newest) return; // a button that somebody is about to press stays
  newest = changes[0]?.id;
  drawHistory(document.getElementById("changes").tBodies[0], changes, { decides, changed: drawChanges, ofAll: true });
}

// ---- live ----

let looks = 0;

function say(words) {
  const sign = document.getElementById("gone");
  document.documentElement.classList.toggle("dead", Boolean(words));
  sign.hidden = !words;
  if (sign.textContent !== words) sign.textContent = words;
}

async function look() {
  try {
    const answer = await fetch("/api/v1/status", { credentials: "same-origin", signal: AbortSignal.timeout(WITHIN_MS) });
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new Refused(answer.status, answer.statusText);
    now = await answer.json();
    heardAt = Date.now();
    say("");
    draw();
    if (looks++ % CHANGES_EVERY === 0) await drawChanges();
  } catch {
    say(`Not live: no answer for ${ago(new Date(heardAt).toISOString())}. This is how things stood at ${clock.format(new Date(heardAt))}.`);
  }
  setTimeout(look, EVERY_MS);
}

draw();
look();
