// One plot: scores and beam over time, its last images, its figures and its settings; new verdicts come by themselves.

import { ago, ask, badge, island, trying } from "./house.js";
import { Chart, MARKERS, tint } from "./charts.js";
import { earlier, open, unroll } from "./film.js";
import { api, busy, drawHistory, drawSettings, el, keep, moment, wall, written } from "./settings.js";

const LOOK_EVERY_MS = 1000;
const MOST_POINTS = 4000; // what came live is thinned again beyond
const ROWS = 100;
const LEAST_MS = 10 * 60_000; // that the charts reach back
const MARGIN = 0.03; // before the first image, of the time since
const FAR_MS = 100 * 86_400_000;
const DASHES = ["solid", "dashed", "dotted", "dotdash", "dashdot"];

const { plot, settings, decides } = island("facts");
const here = api(plot);
const $ = (id) => document.getElementById(id);
const state = { hours: 8, run: null, course: null, settings, follows: true, due: false, charts: null, sources: [], lines: [] };
const group = {};

// ---- over time ----

function query(more = {}) {
  const words = new URLSearchParams(state.run === null ? { hours: state.hours } : { run: state.run, hours: state.hours });
  for (const [key, value] of Object.entries(more)) words.set(key, value);
  return `${here}/series?${words}`;
}

/** From where to where the charts reach: the window asked for, but not the part of it before the first image. */
function stretch() {
  const { since, until, points } = state.course;
  const first = Math.min(points.at[0] ?? since, until - LEAST_MS);
  return [wall(state.run === null ? Math.max(since, first - MARGIN * (until - first)) : since), wall(until)];
}

async function load() {
  const course = await trying(() => ask("GET", query()));
  if (!course) return;
  state.course = course;
  state.follows = true;
  if (state.charts) {
    fill();
    state.charts.scores.span(...stretch());
  } else {
    draw();
  }
  tell();
}

function colour(status) {
  const name = status.toLowerCase();
  return tint({ unknown: "stale", nobeam: "still", disabled: "still", nomodel: "still", other: "still", good: "still" }[name] ?? name);
}

/** What one label's points are, as columns. */
function pointsOf(place) {
  const { points } = state.course;
  const columns = { x: [], y: [], colour: [], id: [], status: [], when: [], run: [], label: [] };
  points.label.forEach((label, n) => {
    if (label !== place || points.confidence[n] === null) return;
    columns.x.push(wall(points.at[n]));
    columns.y.push(points.confidence[n]);
    columns.colour.push(colour(points.status[n]));
    columns.id.push(points.id[n]);
    columns.status.push(points.status[n]);
    columns.when.push(moment(points.at[n]));
    columns.run.push(points.run[n] === null ? "–" : String(points.run[n]));
    columns.label.push(state.course.labels[label]);
  });
  return columns;
}

/** A threshold as corners of a staircase, from the window's start to far beyond its end. */
function stairsOf(line) {
  const { since, until } = state.course;
  const x = [];
  const y = [];
  for (const [n, step] of line.steps.entries()) {
    const from = Math.max(step.at ?? 0, since - FAR_MS);
    const to = line.steps[n + 1]?.at ?? until + FAR_MS;
    x.push(wall(from), wall(to));
    y.push(step.value ?? NaN, step.value ?? NaN);
  }
  return { x, y };
}

const beamOf = ({ points }) => ({ x: points.at.map(wall), y: points.current.map((value) => value ?? NaN) });

function scoresLayer(figure, Bokeh) {
  const { course } = state;
  state.lines = course.lines.map((line, n) => {
    const source = new Bokeh.ColumnDataSource({ data: stairsOf(line) });
    figure.line({ field: "x" }, { field: "y" }, { source, line_color: tint("accent"), line_width: 1.6, line_dash: DASHES[n % DASHES.length], line_alpha: 0.9 });
    return { label: line.label, source };
  });
  state.sources = course.labels.map((label, place) => {
    const source = new Bokeh.ColumnDataSource({ data: pointsOf(place) });
    const renderer = figure.scatter({ field: "x" }, { field: "y" }, {
      source, size: 7, marker: MARKERS[place % MARKERS.length], fill_color: { field: "colour" }, line_color: { field: "colour" }, fill_alpha: 0.55,
      nonselection_fill_alpha: 0.55, nonselection_line_alpha: 1,
    });
    source.selected.properties.indices.change.connect(() => {
      const [hit] = source.selected.indices;
      if (hit !== undefined) open(source.data.id[hit]);
    });
    return { place, source, renderer };
  });
  const renderers = state.sources.map((one) => one.renderer);
  figure.add_tools(
    new Bokeh.TapTool({ renderers }),
    new Bokeh.HoverTool({ renderers, tooltips: [["judged", "@when"], ["label", "@label"], ["confidence", "@y{0.000}"], ["status", "@status"], ["run", "@run"]] }),
  );
  marks(figure, Bokeh, course.runs.slice(1), "still", "dotted");
  marks(figure, Bokeh, course.models.filter((one) => one.at !== null && one.at > course.since), "accent", "solid");
}

function marks(figure, Bokeh, found, name, dash) {
  for (const mark of found.slice(-200)) figure.add_layout(new Bokeh.Span({ location: wall(mark.at), dimension: "height", line_color: tint(name), line_dash: dash, line_alpha: 0.6 }));
  if (found.length > 24) return;
  for (const mark of found) {
    figure.add_layout(new Bokeh.Label({ x: wall(mark.at), y: 0.01, text: mark.name, text_color: tint("quiet"), text_font_size: "11px", x_offset: 3 }));
  }
}

function beamLayer(figure, Bokeh) {
  state.beam = new Bokeh.ColumnDataSource({ data: beamOf(state.course) });
  figure.line({ field: "x" }, { field: "y" }, { source: state.beam, line_color: tint("accent"), line_width: 1.4 });
  figure.y_range = new Bokeh.DataRange1d({ start: 0, only_visible: false });
}

function draw() {
  const [start, end] = stretch();
  state.charts = {
    scores: new Chart($("scores"), { says: "", x: { start, end }, y: { start: 0, end: 1.03, label: "confidence" }, height: 300, group, layers: [scoresLayer] }),
    beam: new Chart($("beam"), { says: "", x: { start, end }, y: { start: 0, end: 1, label: state.course.units || "beam" }, height: 130, group, layers: [beamLayer] }),
  };
}

function fill() {
  const labels = state.sources.length;
  if (labels !== state.course.labels.length || state.lines.length !== state.course.lines.length || state.marked !== marksOf()) {
    state.marked = marksOf();
    state.charts.scores.drawn = state.charts.scores.draw();
  } else {
    for (const { place, source } of state.sources) source.data = pointsOf(place);
    for (const [n, { source }] of state.lines.entries()) source.data = stairsOf(state.course.lines[n]);
  }
  if (state.beam) state.beam.data = beamOf(state.course);
}

const marksOf = () => JSON.stringify([state.course.runs, state.course.models]);

function tell() {
  const { course } = state;
  const { points } = course;
  const alarms = points.status.filter((status) => status === "BAD" || status === "NODATA").length;
  const known = points.confidence.filter((value) => value !== null);
  const range = known.length ? `confidence from ${Math.min(...known).toFixed(2)} to ${Math.max(...known).toFixed(2)}` : "no scores";
  state.charts.scores.say(`${course.images} images of ${plot} from ${moment(course.since)} to ${moment(course.until)}: ${range}, ${alarms} in alarm. The newest stand below as numbers.`);
  const currents = points.current.filter((value) => value !== null);
  state.charts.beam.say(currents.length ? `Beam current from ${Math.min(...currents).toPrecision(3)} to ${Math.max(...currents).toPrecision(3)} ${course.units}.` : "No beam current is known.");
  $("thinned").textContent = course.images > points.id.length
    ? `${course.images} images; ${points.id.length} are drawn: of each stretch of time the extremes, and every alarm.`
    : course.images ? `${course.images} images.` : "No image was judged in this time.";
  legend();
  numbers();
  present(course.present);
}

function legend() {
  const { course } = state;
  const items = course.labels.map((label, place) => {
    const line = course.lines.findIndex((one) => one.label === label);
    const value = line < 0 ? null : course.lines[line].steps.at(-1)?.value;
    const item = el("li", { "data-label": label }, mark(MARKERS[place % MARKERS.length]), ` ${label}`);
    if (value !== null && value !== undefined) item.append(dash(DASHES[line % DASHES.length]), ` counts from ${value}`);
    return item;
  });
  const statuses = [...new Set(course.points.status)].map((status) => el("li", {}, badge(status)));
  $("legend").replaceChildren(...items, ...statuses);
}

function mark(kind) {
  const paths = {
    circle: "M2 7a5 5 0 1 0 10 0a5 5 0 1 0-10 0z", square: "M2.5 2.5h9v9h-9z", triangle: "M7 2l5.5 10h-11z", diamond: "M7 1l4.5 6L7 13 2.5 7z",
    inverted_triangle: "M7 12L1.5 2h11z", hex: "M4 2h6l3 5-3 5H4L1 7z", star: "M7 1l1.7 4 4.3.3-3.3 2.8 1 4.2L7 10l-3.7 2.3 1-4.2L1 5.3 5.3 5z", plus: "M5 1h4v4h4v4H9v4H5V9H1V5h4z",
  };
  return drawing(14, 14, (path) => path.setAttribute("d", paths[kind]), "mark");
}

function dash(kind) {
  const dashes = { solid: "", dashed: "6 4", dotted: "2 3", dotdash: "2 3 6 3", dashdot: "6 3 2 3" };
  return drawing(26, 14, (path) => {
    path.setAttribute("d", "M1 7h24");
    path.setAttribute("stroke-dasharray", dashes[kind]);
  }, "dash");
}

function drawing(width, height, shapes, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}`, class: name, "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shapes(path);
  svg.append(path);
  return svg;
}

function numbers() {
  if (!$("numbers").open) return;
  const { points, labels, units } = state.course;
  const rows = [];
  for (let n = points.id.length - 1; n >= 0 && rows.length < ROWS; n -= 1) {
    const number = (text) => el("td", { class: "number", text });
    rows.push(el("tr", {},
      el("td", { text: moment(points.at[n]) }), el("td", {}, badge(points.status[n])), el("td", { text: labels[points.label[n]] ?? "–" }),
      number(points.confidence[n]?.toFixed(3) ?? "–"), number(points.current[n] === null ? points.beam[n] : `${points.current[n].toPrecision(4)} ${units}`), number(points.run[n] ?? "–")));
  }
  $("numbers").querySelector("tbody").replaceChildren(...rows);
}

let standing = null;

function present(now) {
  if (standing?.status !== now.status || standing?.verdict !== now.verdict) {
    $("status").replaceChildren(badge(now.status));
    $("reason").textContent = now.reason || "nothing was judged yet";
    $("run").textContent = now.run ?? "–";
  }
  standing = now;
  $("age").textContent = ago(now.taken_at);
}

// ---- live ----

async function look() {
  if (!state.course || document.hidden) return;
  let news;
  try {
    news = await ask("GET", query({ after: state.course.newest }));
    $("link").textContent = "";
  } catch {
    $("link").textContent = "The server cannot be reached: what stands here is old.";
    return;
  }
  const { course } = state;
  const fresh = news.points.id.length;
  const moved = JSON.stringify(news.lines) !== JSON.stringify(course.lines);
  Object.assign(course, { newest: news.newest, present: news.present, lines: news.lines, since: news.since, until: news.until, models: news.models });
  if (fresh) {
    for (const column of Object.keys(course.points)) course.points[column].push(...news.points[column]);
    course.labels = news.labels;
    course.images += news.images;
    for (const run of news.runs) if (course.runs.at(-1)?.name !== run.name) course.runs.push(run);
  }
  if (course.points.id.length > MOST_POINTS) await load();
  else if (fresh || moved) {
    fill();
    tell();
  } else present(news.present);
  slide();
  if (fresh) await unroll(fresh);
  if (news.settings !== state.settings.version) await refreshSettings();
  formIfFree();
}

/** Keep up with the time unless somebody looks at another stretch of it. */
function slide() {
  if (state.follows && state.run === null && state.charts) state.charts.scores.span(...stretch());
}

// ---- figures ----

function spell(seconds) {
  return ago(new Date(Date.now() - seconds * 1000).toISOString());
}

async function refreshFigures() {
  const its = await trying(() => ask("GET", `${here}/statistics`));
  if (!its) return;
  const share = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
  const alarm = its.well_for_s !== null ? `over for ${spell(its.well_for_s)}` : its.last_alarm_at ? `stands since ${moment(its.last_alarm_at)}` : "never";
  const words = { images: its.images, "good, of those with beam": share(its.share_good), "mean confidence": its.mean_confidence?.toFixed(3) ?? "–", "last alarm": alarm };
  $("figures").replaceChildren(...Object.entries(words).flatMap(([term, text]) => [el("dt", { text: term }), el("dd", { text: String(text) })]));
  const statuses = [...new Set(its.days.flatMap((day) => Object.keys(day.images)))];
  $("days").tHead.replaceChildren(el("tr", {}, el("th", { text: "day" }), ...statuses.map((status) => el("th", { class: "number" }, badge(status)))));
  $("days").tBodies[0].replaceChildren(...its.days.toReversed().map((day) => el("tr", {}, el("th", { scope: "row", text: day.day }), ...statuses.map((status) => el("td", { class: "number", text: String(day.images[status] ?? "") })))));
  const number = (text) => el("td", { class: "number", text: String(text) });
  $("labels").tBodies[0].replaceChildren(...its.labels.map((one) => el("tr", {}, el("th", { scope: "row", text: one.label }), number(one.images), number(one.confirmed), number(one.mean_confidence.toFixed(3)))));
  const changes = its.changes_by_hour;
  const all = changes.reduce((sum, one) => sum + one, 0);
  $("flicker").textContent = `${all} changes of status in 24 hours, at most ${Math.max(...changes)} in one; ${changes.at(-1)} in the last.`;
  const most = Math.max(4, ...changes);
  $("flicker-bars").replaceChildren(...changes.map((one, n) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ x: n * 10 + 1, width: 8, y: 40 - (38 * one) / most, height: (38 * one) / most })) bar.setAttribute(key, value);
    return bar;
  }));
  $("models").replaceChildren(...its.models.filter((one) => one.name || one.at).toReversed().map((one) => el("li", { text: `${one.name || "no model"}, since ${one.at === null ? "ever" : moment(one.at)}` })));
}

// ---- settings ----

async function refreshSettings() {
  const fresh = await trying(() => ask("GET", `${here}/settings`));
  if (fresh) state.settings = fresh;
  state.due = true;
  formIfFree();
  const changes = await trying(() => ask("GET", `/api/v1/settings/history?limit=30&plot=${encodeURIComponent(plot)}`));
  if (changes) drawHistory($("history").tBodies[0], changes, { decides, changed });
}

async function changed() {
  document.activeElement?.blur?.();
  await refreshSettings();
  form();
}

function form() {
  state.due = false;
  drawSettings($("settings"), state.settings, { decides, changed });
}

/** Draw the form by what holds now; while hands are in it that waits, and what they wrote stays. */
function formIfFree() {
  const where = $("settings");
  if (!state.due || busy(where)) return;
  const typed = written(where);
  form();
  keep(where, typed);
}

// ---- what people do ----

function pick(hours, run) {
  Object.assign(state, { hours, run });
  for (const button of $("windows").children) button.setAttribute("aria-pressed", String(run === null && Number(button.dataset.hours) === hours));
  load();
}

$("windows").addEventListener("click", ({ target }) => target.dataset.hours && pick(Number(target.dataset.hours), null));
$("one-run").addEventListener("submit", (event) => {
  event.preventDefault();
  const { run } = event.target.elements;
  if (run.value !== "") pick(state.hours, run.value);
});
document.querySelector(".zooms").addEventListener("click", ({ target }) => {
  if (!target.dataset.zoom || !state.charts) return;
  const { start, end } = group;
  const width = end - start;
  const middle = (start + end) / 2;
  const to = {
    earlier: [start - width / 2, end - width / 2], later: [start + width / 2, end + width / 2],
    in: [middle - width / 4, middle + width / 4], out: [middle - width, middle + width], all: stretch(),
  }[target.dataset.zoom];
  state.follows = target.dataset.zoom === "all";
  state.charts.scores.span(...to);
});
for (const where of ["scores", "beam"]) {
  for (const deed of ["pointerdown", "wheel"]) $(where).addEventListener(deed, () => (state.follows = false), { passive: true });
}
$("numbers").addEventListener("toggle", () => state.course && numbers());

form();
earlier();
refreshFigures();
refreshSettings();
await load();
setInterval(() => present(standing ?? state.course.present), 1000);
setInterval(() => !document.hidden && refreshFigures(), 60_000);
(async function follow() {
  for (;;) {
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    await look();
  }
})();

export { state }; // what is drawn, for tests
