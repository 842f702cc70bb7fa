// The wall: what is wrong first and large, kept new without ever loading the page again.

import { Card, WANTED } from "./card.js";
import { ago, ask, badge, island } from "./house.js";
import { kept } from "./kept.js";
import { Live } from "./live.js";
import { drawNews, readyNews } from "./newsline.js";
import { signWords, whyEmpty } from "./signs.js";
import { alarm, readySound } from "./sound.js";

const byId = (id) => document.getElementById(id);
const facts = island("facts");
const live = new Live(facts.after, facts.now);
live.health = facts.health;
live.trouble = facts.trouble;

const cards = new Map(); // by plot
const groups = new Map(); // by detector
const wanted = { node: byId("wanted"), grid: byId("wanted").querySelector(".cards") };
const dirty = new Set();
let news = facts.news;
let outdated = false; // what happened while nobody told us is not known yet
let everything = true; // draw all of it, not only what is dirty
let scheduled = false;
let drawnTrust = null;

// ---- what this browser remembers, and what the address says ----

const hidden = new Set(kept.get("hidden", []));
const query = new URLSearchParams(location.search);
const filter = {
  text: (query.get("find") ?? "").toLowerCase(),
  detector: query.get("detector") ?? "",
  statuses: new Set((query.get("status") ?? "").split(",").filter(Boolean)),
};

function remember() {
  const now = new URLSearchParams();
  if (filter.text) now.set("find", filter.text);
  if (filter.detector) now.set("detector", filter.detector);
  if (filter.statuses.size) now.set("status", [...filter.statuses].join(","));
  history.replaceState(null, "", now.size ? `?${now}` : location.pathname);
  redraw();
}

// ---- taking in what is new ----

function take(plots) {
  const there = new Set();
  for (const plot of plots) {
    there.add(plot.plot);
    const card = cards.get(plot.plot);
    if (card) card.take(plot);
    else cards.set(plot.plot, new Card(plot));
  }
  for (const [name, card] of cards) {
    if (there.has(name)) continue;
    card.node.remove();
    cards.delete(name);
  }
  redraw();
}

let asking = false;
async function takeAll() {
  outdated = true;
  redraw();
  if (asking) return;
  asking = true;
  try {
    const [all, line] = await Promise.all([ask("GET", "/api/v1/plots"), ask("GET", "/api/v1/news")]);
    outdated = false;
    news = line;
    take(all.plots);
  } catch {
    setTimeout(() => outdated && live.why === null && takeAll(), 2000);
  } finally {
    asking = false;
  }
}

live.addEventListener("verdict", ({ detail }) => {
  const card = cards.get(detail.plot);
  if (!card) {
    takeAll(); // a plot never seen before: the data base knows whom to call
    return;
  }
  const before = card.status(live.now());
  if (!card.hear(detail)) return;
  const after = card.status(live.now());
  if (after !== before && ["BAD", "NODATA"].includes(after)) {
    card.node.classList.add("fresh");
    setTimeout(() => card.node.classList.remove("fresh"), 6000);
    if (detail.severity !== "NO_ALARM") alarm(); // else it is part of a flood that has been heard already
  }
  touch(card);
});
live.addEventListener("acknowledged", ({ detail }) => {
  const card = cards.get(detail.plot);
  if (!card || !WANTED.includes(card.plot.status)) return;
  const started = card.plot.episode?.started_at ?? new Date(card.since ?? live.now()).toISOString();
  card.take({
    ...card.plot,
    episode: { id: detail.episode, started_at: started, acknowledged_at: detail.at, acknowledged_by: detail.by },
  });
  touch(card);
});
live.addEventListener("news", ({ detail }) => {
  news = detail;
  redraw();
});
live.addEventListener("missed", takeAll);
live.addEventListener("state", () => {
  if (live.why === "connection" || live.why === "database") outdated = true;
  else if (outdated) takeAll();
  schedule();
});

// ---- drawing, at most once a frame ----

function touch(card) {
  dirty.add(card);
  schedule();
}

function redraw() {
  everything = true;
  schedule();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function draw() {
  scheduled = false;
  const now = live.now();
  const trusted = live.live && !outdated;
  const all = everything || trusted !== drawnTrust;
  const heat = byId("heat").checked;
  const showHidden = byId("show-hidden").checked;
  for (const card of all ? cards.values() : dirty) {
    card.overdue = card.isOverdue(now);
    card.large = card.wanted(now);
    card.draw({ now, trusted, heat });
    if (!all) place(card, now);
    const away = hidden.has(card.plot.plot);
    card.node.hidden = !card.fits(filter, now) || (away && !showHidden);
    card.node.classList.toggle("away", away);
    card.parts.hide.textContent = away ? "Show" : "Hide";
    card.parts.hide.setAttribute("aria-label", `${away ? "Show" : "Hide"} ${card.plot.plot}`);
  }
  if (all) placeAll(now);
  dirty.clear();
  everything = false;
  drawnTrust = trusted;
  drawCounts(now, trusted);
  drawSign();
  drawState(now, trusted);
  drawNews(news, live.now());
}

function gridOf(card) {
  return card.large ? wanted.grid : group(card.plot.detector).grid;
}

function place(card, now) {
  const grid = gridOf(card);
  const { node } = card;
  const cardOf = (other) => other && cards.get(other.dataset.plot);
  const [previous, next] = [cardOf(node.previousElementSibling), cardOf(node.nextElementSibling)];
  const inOrder = !(previous && card.before(previous, now)) && !(next && next.before(card, now));
  if (node.parentNode === grid && inOrder) return;
  const follower = [...grid.children].find((other) => other !== node && card.before(cardOf(other), now));
  grid.insertBefore(node, follower ?? null);
}

function placeAll(now) {
  const cursors = new Map();
  for (const card of [...cards.values()].sort((a, b) => (a.before(b, now) ? -1 : 1))) {
    const grid = gridOf(card);
    const cursor = cursors.has(grid) ? cursors.get(grid) : grid.firstElementChild;
    if (card.node !== cursor) grid.insertBefore(card.node, cursor);
    cursors.set(grid, card.node.nextElementSibling);
  }
}

function group(detector) {
  let found = groups.get(detector);
  if (found) return found;
  const node = document.createElement("section");
  node.className = "detector";
  const title = document.createElement("h2");
  const grid = document.createElement("div");
  grid.className = "cards";
  const count = document.createElement("span");
  count.className = "quiet";
  title.append(detector, " ", count);
  node.append(title, grid);
  found = { node, grid, count };
  groups.set(detector, found);
  const names = [...groups.keys()].sort();
  const after = names[names.indexOf(detector) + 1];
  byId("detectors").insertBefore(node, after === undefined ? null : groups.get(after).node);
  const options = names.map((name) => new Option(name, name, false, name === filter.detector));
  byId("detector").replaceChildren(new Option("all", ""), ...options);
  return found;
}

function drawCounts(now, trusted) {
  const statuses = new Map();
  const left = { wanted: 0, all: 0 };
  const sums = new Map([...groups.keys()].map((name) => [name, { shown: 0, all: 0, wanted: 0 }]));
  for (const card of cards.values()) {
    const status = card.status(now);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (!sums.has(card.plot.detector)) {
      group(card.plot.detector);
      sums.set(card.plot.detector, { shown: 0, all: 0, wanted: 0 });
    }
    const sum = sums.get(card.plot.detector);
    sum.all += 1;
    if (card.large) sum.wanted += 1;
    if (!card.node.hidden && !card.large) sum.shown += 1;
    if (card.node.hidden) left[card.large ? "wanted" : "all"] += 1;
  }
  for (const [name, { shown, all, wanted: wrong }] of sums) {
    const { node, count } = groups.get(name);
    node.hidden = shown === 0;
    const words = wrong ? `${all - wrong} of ${all} quiet` : `${all} quiet`;
    if (count.textContent !== words) count.textContent = words;
    if (node.style.getPropertyValue("--plots") !== String(shown)) node.style.setProperty("--plots", shown);
  }
  const someWanted = [...wanted.grid.children].filter((node) => !node.hidden).length;
  wanted.node.hidden = someWanted === 0;
  wanted.node.classList.toggle("crowd", someWanted > 24);
  drawChips(statuses);
  drawWrong(statuses, trusted);
  const away = [...hidden].filter((name) => cards.has(name)).length;
  byId("hidden-box").hidden = byId("unhide").hidden = away === 0;
  text("hidden-count", `Show ${away} hidden`);
  const words = [];
  if (left.wanted) words.push(`${left.wanted} that need${left.wanted === 1 ? "s" : ""} somebody ${left.wanted === 1 ? "is" : "are"} left out`);
  if (left.all) words.push(`${left.all} quiet left out`);
  text("left-out", words.join(", "));
  byId("left-out").classList.toggle("wrong", left.wanted > 0);
  drawWhy(someWanted, trusted, now);
}

let drawnChips = "";
function drawChips(statuses) {
  const found = [...WANTED, "GOOD", "OTHER", "NOBEAM", "DISABLED", "NOMODEL"].filter(
    (status) => statuses.has(status) || filter.statuses.has(status),
  );
  const state = JSON.stringify(found.map((status) => [status, statuses.get(status) ?? 0, filter.statuses.has(status)]));
  if (state === drawnChips) return;
  drawnChips = state;
  const focused = document.activeElement?.dataset?.status;
  byId("statuses").replaceChildren(
    ...found.map((status) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip";
      chip.dataset.status = status;
      chip.setAttribute("aria-pressed", String(filter.statuses.has(status)));
      chip.append(badge(status), ` ${statuses.get(status) ?? 0}`);
      chip.addEventListener("click", () => {
        if (!filter.statuses.delete(status)) filter.statuses.add(status);
        remember();
      });
      return chip;
    }),
  );
  if (focused) byId("statuses").querySelector(`[data-status="${focused}"]`)?.focus();
}

function drawWrong(statuses, trusted) {
  const bad = (statuses.get("BAD") ?? 0) + (statuses.get("NODATA") ?? 0);
  const others = WANTED.slice(2).reduce((sum, status) => sum + (statuses.get(status) ?? 0), 0);
  text("state-wrong", `${bad} bad${others ? `, ${others} other` : ""}`);
  byId("state-wrong").classList.toggle("wrong", bad > 0);
  const hall = document.title.split(" · ").slice(-1);
  const title = `${trusted ? (bad ? `${bad} bad · ` : "") : "NOT LIVE · "}Wall · ${hall}`;
  if (document.title !== title) document.title = title;
}

function drawWhy(someWanted, trusted, now) {
  const words = cards.size ? quietWords(someWanted, trusted) : whyEmpty(live, facts.watched, now);
  text("why", words);
  byId("why").hidden = !words;
}

function quietWords(someWanted, trusted) {
  const all = [...cards.values()];
  if (all.every((card) => card.node.hidden)) return "No plot fits what is asked for above.";
  if (someWanted || !trusted) return "";
  return all.some((card) => card.large) ? "" : `Nothing needs you: ${all.length} plots are quiet.`;
}

function drawSign() {
  const sign = byId("sign");
  const words = signWords(live, cards.size === 0);
  document.body.classList.toggle("dead", Boolean(words) || outdated);
  if (sign.textContent !== words) sign.textContent = words;
  sign.hidden = !words;
}

function drawState(now, trusted) {
  const { health } = live;
  let newest = null;
  for (const card of cards.values()) if (card.taken !== null && (newest === null || card.taken > newest.taken)) newest = card;
  text("state-live", trusted ? "live" : "NOT LIVE");
  byId("state-live").classList.toggle("wrong", !trusted);
  const beam = health?.beam;
  const known = trusted && beam;
  const current = known && typeof beam.current === "number" ? ` ${Number(beam.current.toPrecision(3))} ${beam.units ?? ""}` : "";
  text("state-beam", known ? `${beam.state}${current}` : "not known");
  byId("state-beam").title = known ? (beam.reason ?? "") : "";
  byId("state-beam").classList.toggle("wrong", !known || beam.state === "UNKNOWN");
  const run = trusted ? health?.run : null;
  const what = run?.masked ? `${run.type}, masked` : run?.state === "IDLE" ? "none is going" : run?.type;
  text("state-run", `${run?.number ?? newest?.plot.run ?? "–"}${what ? ` · ${what}` : ""}`);
  byId("state-run").title = run?.reason ?? "";
  byId("state-run").classList.toggle("wrong", Boolean(run?.reason));
  text("state-image", newest ? `${ago(newest.plot.taken_at, now)} ago` : "none yet");
  let daemon = "never seen";
  if (live.why === "connection" || live.why === "database") daemon = "not known";
  else if (health?.known) daemon = health.alive ? `${health.health}${health.why ? `: ${health.why}` : ""}` : `silent for ${ago(health.beat_at, now)}`;
  text("state-daemon", daemon);
  byId("state-daemon").classList.toggle("wrong", daemon !== "OK");
}

function text(id, words) {
  const node = byId(id);
  if (node.textContent !== String(words)) node.textContent = words;
}

setInterval(() => {
  const now = live.now();
  for (const card of cards.values()) {
    card.tick(now);
    if (card.overdue !== card.isOverdue(now)) touch(card);
  }
  drawState(now, live.live && !outdated);
  drawNews(news, live.now());
}, 1000);

// ---- the tools ----

byId("find").value = filter.text;
byId("find").addEventListener("input", (event) => {
  filter.text = event.target.value.trim().toLowerCase();
  remember();
});
byId("detector").addEventListener("change", (event) => {
  filter.detector = event.target.value;
  remember();
});
byId("wall").addEventListener("click", (event) => {
  const button = event.target.closest(".hide");
  if (!button) return;
  const { plot } = button.closest(".card").dataset;
  if (!hidden.delete(plot)) hidden.add(plot);
  kept.set("hidden", [...hidden]);
  redraw();
});
byId("show-hidden").addEventListener("change", redraw);
byId("unhide").addEventListener("click", () => {
  hidden.clear();
  kept.set("hidden", []);
  byId("show-hidden").checked = false;
  redraw();
});

const opacity = byId("opacity");
function heatChanged() {
  byId("wall").style.setProperty("--heat", String(opacity.value / 100));
  opacity.disabled = !byId("heat").checked;
  kept.set("heat", byId("heat").checked);
  kept.set("opacity", Number(opacity.value));
}
byId("heat").checked = kept.get("heat", true);
opacity.value = kept.get("opacity", 60);
byId("heat").addEventListener("change", () => {
  heatChanged();
  redraw();
});
opacity.addEventListener("input", heatChanged);
heatChanged();

readySound((held) => live.hold(held));
readyNews(() => news, () => live.now(), (line) => {
  news = line;
  redraw();
});

if (facts.trouble) outdated = true;
take(facts.plots);
draw();
performance.mark("wall-drawn");
