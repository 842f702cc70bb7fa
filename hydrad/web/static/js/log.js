// The log as it goes on: filters without a reload, new entries as they come, who has seen what.
import { ask, note, trying } from "./house.js";

const EVERY_MS = 5000;
const PAGE = 100;
const MOST = 500;

const filters = document.getElementById("filters");
if (matchMedia("(max-width: 600px)").matches) document.getElementById("fold").open = false; // entries come first
const dialog = document.getElementById("acknowledging");
const unreachable = document.getElementById("unreachable");
let lostSince = null;
let turn = 0; // of answers that come late, only the newest counts
let concerned = []; // what the dialog is about
let asker = null; // where the focus goes when it closes

const log = () => document.getElementById("log");
const entries = () => [...log().querySelectorAll("tbody.entry")];
const lines = (bodies) => bodies.map((one) => `${one.dataset.id}:${one.dataset.version}`).join();

/** What the form asks for, as it stands in an address. */
function asked() {
  const given = new URLSearchParams();
  const statuses = filters.querySelectorAll("[name=status]");
  const all = [...statuses].every((one) => one.checked) || [...statuses].every((one) => !one.checked);
  for (const [key, value] of new FormData(filters)) {
    if (value.trim() !== "" && !(key === "status" && all)) given.append(key, value.trim());
  }
  if (given.has("since") || given.has("until")) given.delete("last");
  return given;
}

/** The same for as many pages as are shown. */
function shownOf(given) {
  const wide = new URLSearchParams(given);
  const count = Math.min(MOST, PAGE * Math.max(1, Math.ceil(entries().length / PAGE)));
  wide.set("limit", String(count));
  return wide;
}

async function pageOf(query) {
  const answer = await fetch(`/log?${query}`, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (answer.redirected) location.reload(); // to the login, and back here
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Put what the server has now in the place of what is shown; what is open stays open, and the focus where it was. */
function replace(fresh, { announce }) {
  const before = new Map(entries().map((one) => [one.dataset.id, one]));
  const held = document.activeElement?.closest("tbody.entry")?.dataset.id;
  const role = document.activeElement?.dataset?.role;
  const next = document.importNode(fresh.getElementById("log"), true);
  const newcomers = [];
  for (const one of next.querySelectorAll("tbody.entry")) {
    const was = before.get(one.dataset.id);
    if (was === undefined) {
      newcomers.push(one);
    } else if (was.dataset.version === one.dataset.version) {
      one.replaceWith(was);
    } else if (isOpen(was)) {
      open(one, true);
    }
  }
  log().replaceWith(next);
  if (held !== undefined) {
    const there = next.querySelector(`tbody[data-id="${held}"]`);
    (there?.querySelector(`[data-role="${role}"]`) ?? there?.querySelector("[data-role=open]"))?.focus();
  }
  if (announce && newcomers.length > 0) {
    for (const one of newcomers) one.classList.add("fresh");
    const names = newcomers.slice(0, 3).map((one) => one.querySelector(".plot a").textContent);
    document.getElementById("news").textContent = `New in the log: ${names.join(", ")}${newcomers.length > 3 ? "…" : ""}`;
  }
}

async function refresh({ announce = false, push = false, wide = true } = {}) {
  const mine = ++turn;
  const given = asked();
  const fresh = await pageOf(wide ? shownOf(given) : given);
  if (mine !== turn || fresh.getElementById("log") === null) return;
  replace(fresh, { announce });
  reached();
  if (push) history.replaceState(null, "", given.size === 0 ? "/log" : `/log?${given}`);
}

function reached() {
  lostSince = null;
  unreachable.hidden = true;
}

function lost() {
  lostSince ??= new Date();
  unreachable.textContent = `The server cannot be reached since ${lostSince.toLocaleTimeString()}: what stands here is as old as that.`;
  unreachable.hidden = false;
}

/** Ask whether anything is new; only then is the page asked for. */
async function look() {
  tick();
  if (document.hidden || dialog.open || new URLSearchParams(location.search).has("before")) return;
  const mine = turn;
  try {
    const told = await ask("GET", `/api/v1/episodes?${shownOf(asked())}`);
    reached();
    const there = told.episodes.map((one) => `${one.id}:${one.version}`).join();
    if (mine === turn && there !== lines(entries().slice(0, MOST))) await refresh({ announce: true });
  } catch (fault) {
    if (fault instanceof TypeError || fault.status >= 500) lost();
  }
}

function tick() {
  for (const one of document.querySelectorAll(".still")) {
    one.textContent = span((Date.now() - Date.parse(one.dataset.since)) / 1000);
  }
}

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const isOpen = (body) => body.querySelector("[data-role=open]").getAttribute("aria-expanded") === "true";

function open(body, yes) {
  body.querySelector("[data-role=open]").setAttribute("aria-expanded", String(yes));
  body.querySelector(".more").hidden = !yes;
}

function begin(bodies, from) {
  concerned = bodies.map((one) => Number(one.dataset.id));
  if (concerned.length === 0) return;
  asker = from.closest("tbody.entry")?.dataset.id ?? from.id;
  document.getElementById("acknowledging-what").textContent =
    bodies.length === 1 ? bodies[0].querySelector(".plot a").textContent : `${bodies.length} entries`;
  dialog.querySelector("[name=comment]").value = "";
  dialog.showModal();
  dialog.querySelector("[name=comment]").focus();
}

async function commit() {
  const comment = dialog.querySelector("[name=comment]").value;
  const ids = concerned;
  dialog.close();
  const done = await trying(() => ask("POST", "/api/v1/episodes/acknowledge", { ids: ids.slice(0, MOST), comment }));
  if (done === undefined) return;
  note(done.episodes.length === 1 ? `Acknowledged: ${done.episodes[0].plot}` : `${done.episodes.length} acknowledged`);
  await trying(() => refresh());
  document.querySelector(`tbody[data-id="${asker}"] [data-role=open], #${CSS.escape(asker)}`)?.focus();
}

async function more(link) {
  const fresh = await trying(() => pageOf(new URL(link.href).search.slice(1)));
  const next = fresh?.getElementById("log");
  if (!next) return;
  const known = new Set(entries().map((one) => one.dataset.id));
  const table = log().querySelector("table.log");
  const come = [...next.querySelectorAll("tbody.entry")].filter((one) => !known.has(one.dataset.id));
  table.append(...come.map((one) => document.importNode(one, true)));
  log().querySelector(".after").replaceWith(document.importNode(next.querySelector(".after"), true));
  log().querySelector("#count").textContent = `${entries().length} entries`;
  log().querySelector(`tbody[data-id="${come[0]?.dataset.id}"] [data-role=open]`)?.focus();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, a, [data-role]");
  const body = target?.closest("tbody.entry");
  if (!target) return;
  if (target.dataset.role === "open") open(body, !isOpen(body));
  else if (target.dataset.role === "acknowledge") begin([body], target);
  else if (target.dataset.role === "heat") body.querySelector(".picture").classList.toggle("plain", !target.checked);
  else if (target.dataset.role === "cancel") dialog.close();
  else if (target.id === "all") begin(entries().filter((one) => !("acknowledged" in one.dataset)), target);
  else if (target.id === "older" && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    more(target);
  }
});

dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  commit();
});

let waiting;
filters.addEventListener("input", (event) => {
  clearTimeout(waiting);
  if (event.target.name === "last") for (const one of ["since", "until"]) filters.elements[one].value = "";
  if (event.target.name === "since" || event.target.name === "until") {
    for (const one of filters.querySelectorAll("[name=last]")) one.checked = false;
  }
  // A run is looked for in all time, until somebody says otherwise.
  if (event.target.name === "run" && event.target.value.trim() !== "") filters.querySelector("[value=all]").checked = true;
  waiting = setTimeout(() => trying(() => refresh({ push: true, wide: false })), event.target.type === "text" || event.target.list ? 350 : 60);
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  trying(() => refresh({ push: true, wide: false }));
});

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);
