// The threshold editor: a line is moved over two weeks of scores, and its consequences are there at once.

import { ask, island, note, shape, trying } from "./house.js";
import { api, drawHistory, el, moment } from "./settings.js";
import { effect, from, turned } from "./what_if.js";

const BINS = 50;
const SHOWN = 24;
const LOOK_EVERY_MS = 1000;
const SVG = "http://www.w3.org/2000/svg";
const KINDS = ["right", "wrong", "unlabelled"];
const FIGURES = {
  alarms: "alarms", alarms_false: "of these false, as far as labelled", images_alarmed: "images judged in alarm",
  false: "good images taken for faulty", missed: "faulty images not taken for it", confirmed: "confirmed", unconfirmed: "unconfirmed",
};

const { plot, decides, days, settings } = island("facts");
const here = api(plot);
const $ = (id) => document.getElementById(id);
const state = { settings, all: null, said: null, tried: {}, panels: new Map(), label: null };

const present = () => Object.fromEntries(state.settings.labels.filter((one) => one.threshold !== null).map((one) => [one.label, one.threshold]));

// ---- one label's panel ----

function panel(one) {
  const range = el("input", { type: "range", min: 0, max: 1, step: 0.001, value: one.threshold, "aria-label": `Threshold of ${one.label}`, disabled: !decides });
  const number = el("input", { type: "number", min: 0, max: 1, step: "any", value: one.threshold, "aria-label": `Threshold of ${one.label} as a number`, disabled: !decides });
  const picture = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 1000 120", preserveAspectRatio: "none", class: "histogram", role: "img", "aria-label": `Confidences of ${one.label}` })) picture.setAttribute(key, value);
  const words = el("p", { class: "quiet counts" });
  const reason = el("input", { type: "text", maxlength: 500, placeholder: "why", "aria-label": `Why the threshold of ${one.label} moves` });
  const apply = el("button", { class: "main", text: "Apply" });
  const back = el("button", { type: "button", text: "Back", onclick: () => attempt(one.label, present()[one.label]) });
  const now = el("span", { class: "quiet" });
  const form = el("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    send(one.label, reason);
  } }, number, ...(decides ? [reason, apply, back] : []), now);
  const section = el("section", { class: "sheet", "data-label": one.label },
    el("h2", {}, one.label, el("span", { class: "quiet", text: ` means ${one.meaning}; the model's own threshold is ${one.suggested}` })),
    el("div", { class: "over" }, picture, range), words, form);
  range.addEventListener("input", () => attempt(one.label, range.valueAsNumber));
  number.addEventListener("input", () => number.validity.valid && number.value !== "" && attempt(one.label, number.valueAsNumber, { keep: number }));
  state.panels.set(one.label, { section, range, number, picture, words, now, apply });
  return section;
}

/** Where an image counts in a histogram: 0 right, 1 wrong, 2 nobody has labelled it. */
const kindOf = (said, n) => (said.human[n] < 0 ? 2 : said.human_meanings[said.human[n]] === said.meanings[said.label[n]] ? 0 : 1);

function histogram(label) {
  const { said } = state;
  const place = said.labels.indexOf(label);
  const bins = Array.from({ length: BINS }, () => [0, 0, 0]);
  const counts = [0, 0, 0];
  for (let n = 0; n < said.id.length; n += 1) {
    if (said.label[n] !== place) continue;
    const kind = kindOf(said, n);
    counts[kind] += 1;
    bins[Math.min(BINS - 1, Math.floor(said.confidence[n] * BINS))][kind] += 1;
  }
  const { picture, words } = state.panels.get(label);
  const most = Math.log1p(Math.max(1, ...bins.map((bin) => bin[0] + bin[1] + bin[2])));
  const shapes = [];
  for (const [n, bin] of bins.entries()) {
    let below = 0;
    for (const kind of [1, 0, 2]) {
      if (!bin[kind]) continue;
      // Logarithmic as a whole, so that one wrong image is seen among thousands; shares within a bar too.
      const to = Math.log1p(below + bin[kind]);
      const top = 116 * (to / most);
      const base = 116 * (Math.log1p(below) / most);
      below += bin[kind];
      shapes.push(rectangle({ x: (n * 1000) / BINS + 1, width: 1000 / BINS - 2, y: 120 - top, height: Math.max(1, top - base), class: KINDS[kind] }));
    }
  }
  shapes.push(rectangle({ class: "line present", y: 0, width: 3, height: 120 }), rectangle({ class: "line tried", y: 0, width: 3, height: 120 }));
  picture.replaceChildren(...shapes);
  picture.setAttribute("aria-label", `Confidences of ${label}: ${counts[0]} that people agree with, ${counts[1]} that they don't, ${counts[2]} unlabelled`);
  words.replaceChildren(...KINDS.map((kind, n) => el("span", { class: "key" }, el("i", { class: `swatch ${kind}` }), ` ${kind}: ${counts[n]} `)));
}

function rectangle(facts) {
  const one = document.createElementNS(SVG, "rect");
  for (const [key, value] of Object.entries(facts)) one.setAttribute(key, value);
  return one;
}

function lines(label) {
  const { picture, range, number, now, apply } = state.panels.get(label);
  const stands = present()[label];
  const tried = state.tried[label] ?? stands;
  picture.querySelector(".present")?.setAttribute("x", 1000 * stands - 1.5);
  picture.querySelector(".tried")?.setAttribute("x", 1000 * tried - 1.5);
  if (document.activeElement !== number) number.value = tried;
  range.value = tried;
  now.textContent = `in force: ${stands}`;
  apply.disabled = tried === stands;
}

// ---- trying ----

function attempt(label, value) {
  if (value === present()[label]) delete state.tried[label];
  else state.tried[label] = value;
  state.label = label;
  lines(label);
  outcome();
}

function outcome() {
  const { said } = state;
  if (!said) return;
  const began = performance.now();
  const [now, then] = [present(), { ...present(), ...state.tried }];
  const before = effect(said, now);
  const after = effect(said, then);
  const took = performance.now() - began;
  $("outcome").tBodies[0].replaceChildren(
    ...Object.entries(FIGURES).map(([key, words]) => {
      const change = after[key] - before[key];
      return el("tr", { "data-figure": key }, el("th", { scope: "row", text: words }), el("td", { class: "number", text: String(before[key]) }),
        el("td", { class: change ? "number moved" : "number", text: change ? `${after[key]} (${change > 0 ? "+" : "−"}${Math.abs(change)})` : String(after[key]) }));
    }),
  );
  $("took").textContent = `${before.images} images of the last ${days} days, replayed by the rule in ${took.toFixed(0)} ms. Shelving and changes of the model are left out of account.`;
  concerned(now, then);
}

let waiting = 0;

function concerned(now, then) {
  const { said, label } = state;
  const places = label === null ? [] : turned(said, said.labels.indexOf(label), now[label], then[label]);
  $("turned").textContent = label === null || !(label in state.tried)
    ? "Move a line."
    : `${places.length} images labelled ${label} by the model would be ${then[label] > now[label] ? "no longer confirmed" : "confirmed"}${places.length > SHOWN ? `; the ${SHOWN} nearest to the line:` : "."}`;
  clearTimeout(waiting);
  waiting = setTimeout(() => pictures(places.slice(0, SHOWN)), 150); // while the slider moves, numbers are enough
}

async function pictures(places) {
  const ids = places.map((n) => state.said.id[n]);
  const shown = ids.join();
  if ($("turned-images").dataset.ids === shown) return;
  $("turned-images").dataset.ids = shown;
  const shots = ids.length ? await trying(() => ask("GET", `${here}/film?${ids.map((id) => `id=${id}`).join("&")}`)) : [];
  if (!shots || $("turned-images").dataset.ids !== shown) return;
  const by = new Map(shots.map((shot) => [shot.id, shot]));
  $("turned-images").replaceChildren(...ids.filter((id) => by.has(id)).map((id) => {
    const shot = by.get(id);
    const words = `${shot.label} at ${shot.confidence.toFixed(3)}`;
    const picture = shot.kept ? el("img", { src: `/images/${shot.sha256}/thumbnail?width=160`, alt: "", loading: "lazy", width: 160, height: 106 }) : el("span", { class: "gone quiet", text: "not kept" });
    const link = shot.kept ? el("a", { href: `/images/${shot.sha256}`, "aria-label": `${words}, ${moment(shot.judged_at)}` }, picture) : picture;
    return el("li", { "data-id": id }, link, el("span", {}, shape(shot.status), ` ${words}`), el("span", { class: "quiet", text: `people: ${shot.human ?? "–"}` }), el("span", { class: "quiet", text: moment(shot.judged_at) }));
  }));
}

async function send(label, reason) {
  const value = state.tried[label];
  if (value === undefined) return;
  const done = await trying(() => ask("PUT", `${here}/thresholds/${encodeURIComponent(label)}`, { value, reason: reason.value }));
  if (!done) return;
  delete state.tried[label];
  reason.value = "";
  note(`${label} counts from ${value} on.`);
  await refresh();
}

// ---- what is in force ----

async function refresh() {
  const fresh = await trying(() => ask("GET", `${here}/settings`));
  if (fresh) take(fresh);
  const changes = await trying(() => ask("GET", `/api/v1/settings/history?limit=50&plot=${encodeURIComponent(plot)}`));
  if (changes) drawHistory($("history").tBodies[0], changes, { decides, changed: refresh });
}

function take(fresh) {
  state.settings = fresh;
  if (state.all) {
    for (const key of ["on_delay", "off_delay", "on_window", "off_window"]) state.all[key] = fresh[key];
    choose();
  }
}

/** All images, or those of the present model. */
function choose() {
  state.said = $("only-model").checked && state.all.model_since !== null ? from(state.all, state.all.model_since) : state.all;
  for (const label of state.panels.keys()) {
    histogram(label);
    lines(label);
  }
  outcome();
}

async function look() {
  if (document.hidden) return;
  try {
    const fresh = await ask("GET", `${here}/settings`);
    if (fresh.version !== state.settings.version) await refresh();
  } catch {
    // the next look may find the server again; what is shown stays true of the images
  }
}

$("labels").append(...settings.labels.filter((one) => one.threshold !== null).map(panel));
if (!state.panels.size) $("labels").append(el("p", { class: "sheet", text: "No model serves this plot, so it has no thresholds." }));
$("only-model").addEventListener("change", choose);
state.all = await trying(() => ask("GET", `${here}/scores?days=${days}`));
$("loading").hidden = true;
if (state.all) {
  $("since-model").hidden = state.all.model_since === null || !state.all.at.some((at) => at < state.all.model_since);
  choose();
}
await refresh();
(async function follow() {
  for (;;) {
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    await look();
  }
})();
