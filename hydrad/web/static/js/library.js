// Models: decide about them, see what a decision would change, and what the daemon makes of it.

import { ask, island, note, Refused, trying } from "./house.js";

const OFTEN_MS = 1000; // while a daemon's answer is awaited
const SELDOM_MS = 4000;

const VERBS = {
  promote: ["Promote", "Put into service"],
  shadow: ["Shadow", "Let it judge along"],
  retire: ["Retire", "Take it out"],
  rollback: ["Roll back", "Undo the promotion"],
};

const told = island("island");
let revision = told.revision;
const awaited = new Set(); // models that somebody here has decided about, and no daemon has answered for

/** An element with these attributes and children; texts become text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// ---- the cards, as the server draws them ----

/** Draw anew what has changed, from the page as it is now; open details and the place in the page stay. */
export async function refresh(address = location.href) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("shown");
  const old = document.getElementById("shown");
  if (!fresh || !old) return;
  const kept = new Map([...old.querySelectorAll("[data-model]")].map((card) => [card.dataset.model, card]));
  for (const card of fresh.querySelectorAll("[data-model]")) {
    const same = kept.get(card.dataset.model);
    if (same?.dataset.revision === card.dataset.revision) card.replaceWith(same);
    else if (same) carryOver(same, card);
  }
  const beside = old.querySelector(".side-by-side")?.scrollLeft ?? 0;
  const focused = describe(document.activeElement);
  old.replaceChildren(...document.adoptNode(fresh).childNodes);
  const side = old.querySelector(".side-by-side");
  if (side) side.scrollLeft = beside;
  focused?.();
  compareAll();
}

function carryOver(old, card) {
  const were = [...old.querySelectorAll("details")].map((one) => one.open);
  card.querySelectorAll("details").forEach((one, n) => (one.open = were[n] ?? false));
}

/** How to find the focused button again after its card was drawn anew. */
function describe(focused) {
  const { deed, of } = focused?.dataset ?? {};
  if (!of) return null;
  return () => {
    const card = document.querySelector(`[data-model="${CSS.escape(of)}"]`);
    (card?.querySelector(`[data-deed="${deed}"]`) ?? card?.querySelector("[data-deed]"))?.focus();
  };
}

// ---- what the daemon makes of it ----

async function watch() {
  let wait = SELDOM_MS;
  try {
    if (!document.hidden) {
      const states = await ask("GET", "/api/v1/models/states");
      for (const model of states.models) tell(model, states.daemon);
      if (states.revision !== revision) {
        await refresh();
        revision = states.revision;
        for (const model of states.models) tell(model, states.daemon);
      }
    }
    if (awaited.size) wait = OFTEN_MS;
  } catch (fault) {
    if (!(fault instanceof Refused || fault instanceof TypeError)) throw fault;
  }
  setTimeout(watch, wait);
}

function tell(model, daemon) {
  const line = document.querySelector(`[data-model="${CSS.escape(model.id)}"] [data-answer]`);
  const decided = model.state !== "candidate";
  if (line && model.answer === "waiting") {
    const words = daemon ? "The daemon has not answered yet." : "No daemon is running: this holds from its next start.";
    line.textContent = decided ? words : "";
  } else if (line && model.answer === "done" && awaited.has(model.id)) {
    line.textContent = model.state === "in_service" ? "The daemon has it in service." : "The daemon has done so.";
  }
  if (!awaited.has(model.id) || (model.answer === "waiting" && daemon)) return;
  awaited.delete(model.id);
  if (model.answer === "refused") note(`${model.id} was refused: ${model.fault}`, { trouble: true });
  else if (model.answer === "done") note(`${model.id}: done`);
}

// ---- deciding ----

const dialog = document.getElementById("decision");
const outlook = document.getElementById("decision-outlook");
const refused = document.getElementById("decision-refused");
const reason = document.getElementById("decision-reason");
const go = document.getElementById("decision-do");
let wanted = null;

/** Ask whether it shall be so, showing what it would change. */
export async function decide(name, deed) {
  const [verb, does] = VERBS[deed];
  wanted = { name, deed };
  document.getElementById("decision-title").textContent = `${verb} ${name}?`;
  go.textContent = does;
  go.disabled = true;
  reason.value = "";
  refused.textContent = "";
  outlook.replaceChildren(element("p", { class: "quiet" }, "…"));
  dialog.showModal();
  try {
    const ahead = await ask("GET", `/api/v1/models/${encodeURIComponent(name)}/outlook?deed=${deed}`);
    outlook.replaceChildren(...described(ahead));
    go.disabled = false;
  } catch (fault) {
    outlook.replaceChildren();
    refused.textContent = fault instanceof Refused ? fault.message : "The server cannot be reached.";
  }
}

function* described(ahead) {
  const words = (state) => state.replaceAll("_", " ");
  yield element(
    "ul",
    {},
    ...ahead.moves.map((move) => element("li", {}, element("strong", {}, move.model), `: ${words(move.old)} → ${words(move.new)}`)),
  );
  if (!ahead.handovers.length) yield element("p", {}, "No plot changes its model.");
  for (const one of ahead.handovers) yield handover(one);
  const stay = Object.entries(ahead.leaves);
  if (stay.length) {
    const names = stay.map(([plot, model]) => `${plot} (${model ?? "no model"})`).join(", ");
    yield element("p", {}, `It is also for plots that stay with models whose patterns say more about them: ${names}`);
  }
  yield element(
    "p",
    { class: "quiet" },
    ahead.daemon ? "The daemon acts on it within seconds." : "No daemon is running: it will act on this when it starts.",
  );
}

function handover(one) {
  const number = one.plots.length;
  const heading = element(
    "p",
    {},
    element("strong", {}, `${number} plot${number === 1 ? "" : "s"}`),
    `: ${one.old ?? "no model"} → ${one.new ?? "no model (NOMODEL)"}`,
  );
  const plots = element("p", { class: "quiet names-of" }, one.plots.slice(0, 12).join(", ") + (number > 12 ? ", …" : ""));
  const made = element("div", { class: "handover" }, heading, plots);
  if (one.thresholds.length && one.new) {
    const number_ = (value) => (value === null ? "–" : value.toFixed(2));
    const rows = one.thresholds.map((row) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, row.label),
        element("td", { class: "number" }, number_(row.before)),
        element("td", { class: "number" }, number_(row.after)),
      ),
    );
    const head = ["threshold of", "now", "then"].map((text, n) => element("th", { scope: "col", class: n ? "number" : null }, text));
    made.append(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
  }
  if (one.kept.length) {
    const kept = one.kept.slice(0, 12).map((row) => `${row.plot} ${row.label} ${row.value.toFixed(2)}`).join(", ");
    made.append(element("p", {}, `Thresholds set by hand stay: ${kept}${one.kept.length > 12 ? ", …" : ""}`));
  }
  return made;
}

go.addEventListener("click", async () => {
  const { name, deed } = wanted;
  go.disabled = true;
  try {
    const answer = await ask("POST", `/api/v1/models/${encodeURIComponent(name)}/${deed}`, { reason: reason.value });
    dialog.close();
    const moved = answer.moves.map((move) => `${move.model}: ${move.new.replaceAll("_", " ")}`).join(", ");
    note(answer.daemon ? moved : `${moved}. No daemon is running: it holds from its next start.`);
    if (answer.daemon) answer.moves.forEach((move) => awaited.add(move.model));
    await refresh();
  } catch (fault) {
    refused.textContent = fault instanceof Refused ? fault.message : "The server cannot be reached.";
    go.disabled = false;
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.deed) await decide(button.dataset.of, button.dataset.deed);
  if (button?.dataset.enter) {
    await trying(() => ask("POST", `/api/v1/models/${encodeURIComponent(button.dataset.enter)}/enter`));
    await refresh();
  }
});

// ---- a model in shadow beside what served ----

const compared = new Map();

function compareAll() {
  for (const place of document.querySelectorAll("[data-compared]")) {
    if (!place.dataset.drawn) compare(place);
  }
}

async function compare(place) {
  place.dataset.drawn = "yes";
  const name = place.dataset.compared;
  try {
    if (!compared.has(name)) compared.set(name, await ask("GET", `/api/v1/models/${encodeURIComponent(name)}/shadow?days=14`));
    place.replaceChildren(...beside(compared.get(name)));
  } catch (fault) {
    place.replaceChildren(element("p", { class: "quiet" }, fault instanceof Refused ? fault.message : "The server cannot be reached."));
  }
}

function* beside(found) {
  if (!found.images) {
    yield element("p", { class: "quiet" }, "It has judged no image along.");
    return;
  }
  const of = found.images.toLocaleString("en");
  const newest = found.images >= found.most ? "the newest " : "";
  const share = ((100 * found.agreed) / found.images).toFixed(1);
  yield element("p", {}, `Of ${newest}${of} images it agreed with what served on ${share} %.`);
  yield element(
    "p",
    {},
    `Alarming to both: ${found.alarming_to_both}; to it only: ${found.alarms_added}; to what served only: ${found.alarms_missed}.`,
  );
  const rows = found.labels.slice(0, 12).map(({ served, shadow, images }) =>
    element(
      "tr",
      {},
      element("td", {}, served ?? "nothing"),
      element("td", {}, shadow),
      element("td", { class: "number" }, images.toLocaleString("en")),
    ),
  );
  const head = ["served said", "it said", "images"].map((text, n) => element("th", { scope: "col", class: n === 2 ? "number" : null }, text));
  yield element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

// ---- the filter, without leaving the page ----

const filter = document.getElementById("filter");
filter?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const query = new URLSearchParams([...new FormData(filter)].filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `/library?${query}` : "/library");
  await refresh();
});
filter?.addEventListener("change", () => filter.requestSubmit());

compareAll();
setTimeout(watch, OFTEN_MS);
