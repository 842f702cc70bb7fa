// One plot as a card: large where somebody has to look, small and quiet where nobody has to.

import { ago, badge, shape } from "./house.js";

/** In this order they come first; what is not here is quiet. */
export const WANTED = ["BAD", "NODATA", "UNFAMILIAR", "STALE", "UNKNOWN", "SUSPECT"];
const RANK = new Map(WANTED.map((status, rank) => [status, rank]));
const CALM = new Set(["GOOD", "OTHER"]); // what only new images keep true
const OVERDUE_S = 15; // beyond the plot's own limit: the daemon and the data base had their time to say so
const ADDRESS = /^[^\s@<>]+@[^\s@<>]+$/;

/** How one plot stands, and its card. */
export class Card {
  #drawn = {};

  constructor(plot) {
    this.plot = plot;
    this.since = null; // ms: since when it needs somebody
    this.overdue = false;
    this.large = null; // not placed yet
    this.node = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.node.dataset.plot = plot.plot;
    this.parts = Object.fromEntries(
      ["picture", "image", "name", "standing", "reason", "run", "age", "guidance", "expert", "episode", "acknowledge", "hide"].map(
        (name) => [name, this.node.querySelector(`.${name}`)],
      ),
    );
    const { image, picture, name, acknowledge, hide } = this.parts;
    const address = encoded(plot.plot);
    name.textContent = plot.plot;
    name.href = `/plot/${address}`;
    acknowledge.href = `/log?plot=${encodeURIComponent(wellFormed(plot.plot))}`;
    hide.setAttribute("aria-label", `Hide ${plot.plot}`);
    image.addEventListener("error", () => picture.classList.add("gone"));
    image.addEventListener("load", () => picture.classList.remove("gone"));
    this.take(plot);
  }

  /** What holds now, as /api/v1/plots says it. */
  take(plot) {
    this.plot = plot;
    this.taken = plot.taken_at ? Date.parse(plot.taken_at) : null;
    const started = plot.episode ? Date.parse(plot.episode.started_at) : null;
    if (!RANK.has(plot.status)) this.since = null;
    else this.since = started ?? this.since ?? (plot.judged_at ? Date.parse(plot.judged_at) : 0);
  }

  /** A verdict as it comes; returns whether it changes what is shown. */
  hear(verdict) {
    const plot = this.plot;
    if (verdict.superseded || (plot.judged_at && Date.parse(verdict.judged_at) < Date.parse(plot.judged_at))) return false;
    const wrong = RANK.has(verdict.status);
    const same = verdict.sha256 === plot.sha256;
    this.take({
      ...plot,
      status: verdict.status,
      severity: verdict.severity,
      reason: verdict.reason,
      label: verdict.label,
      confidence: verdict.confidence,
      run: verdict.run,
      taken_at: verdict.taken_at,
      judged_at: verdict.judged_at,
      verdict: verdict.id,
      sha256: verdict.sha256,
      heatmap: verdict.cause === "image" ? verdict.label !== null : same && plot.heatmap,
      episode: wrong ? plot.episode : null,
    });
    return true;
  }

  /** The status to show at this moment of the server's: what should have had a new image by now is good no more. */
  status(now) {
    return this.isOverdue(now) ? "STALE" : this.plot.status;
  }

  isOverdue(now) {
    const { status, stale_s } = this.plot;
    return CALM.has(status) && this.taken !== null && now - this.taken > (stale_s + OVERDUE_S) * 1000;
  }

  /** Whether somebody has to look. */
  wanted(now) {
    return RANK.has(this.status(now));
  }

  /** Whether it comes before another among those that somebody has to look at. */
  before(other, now) {
    const mine = this.#order(now);
    const theirs = other.#order(now);
    for (let n = 0; n < mine.length; n++) if (mine[n] !== theirs[n]) return mine[n] < theirs[n];
    return this.plot.plot < other.plot.plot;
  }

  #order(now) {
    return [RANK.get(this.status(now)) ?? 99, this.plot.episode?.acknowledged_at ? 1 : 0, -(this.since ?? 0)];
  }

  /** Whether it is among what the filters ask for. */
  fits({ text, detector, statuses }, now) {
    const { plot } = this;
    if (detector && plot.detector !== detector) return false;
    if (statuses.size && !statuses.has(this.status(now))) return false;
    return !text || `${plot.plot} ${plot.label ?? ""} ${plot.detector}`.toLowerCase().includes(text);
  }

  /** Draw what has changed. */
  draw({ now, trusted, heat }) {
    const { plot, parts, node } = this;
    const status = this.status(now);
    const overdue = this.isOverdue(now);
    const large = RANK.has(status);
    this.#once("status", `${status} ${trusted}`, () => {
      node.dataset.status = status;
      node.classList.toggle("large", large);
      node.classList.toggle("doubted", !trusted);
    });
    const said = plot.label === null ? "" : `${plot.label} @ ${plot.confidence.toFixed(2)}`;
    this.#once("standing", `${status} ${trusted} ${said}`, () => {
      const words = document.createElement("span");
      words.className = "said";
      words.textContent = said;
      parts.standing.replaceChildren(trusted ? badge(status) : was(status), " ", words);
    });
    const reason = overdue ? "no new image although one is due, and the daemon has not said why" : plot.reason;
    this.#text("reason", large ? reason : "");
    this.#text("run", plot.run === null ? "" : `run ${plot.run}`);
    this.#text("guidance", large ? plot.guidance : "");
    this.#once("expert", large ? plot.expert : "", (expert) => parts.expert.replaceChildren(...call(expert, plot.plot)));
    this.#once("episode", large ? seen(plot.episode) : "", (words) => {
      parts.episode.textContent = words;
      parts.acknowledge.textContent = words ? "In the log" : "Acknowledge";
      parts.acknowledge.setAttribute("aria-label", words ? `${plot.plot} in the log` : `Acknowledge ${plot.plot}`);
      node.classList.toggle("acknowledged", Boolean(words));
    });
    node.title = large ? "" : plot.reason;
    this.tick(now);
    this.#image(large);
    this.#heat(large && heat && plot.heatmap && plot.verdict !== null);
  }

  /** How old the image is by now. */
  tick(now) {
    const words = this.plot.taken_at ? ago(this.plot.taken_at, now) : "no image";
    this.#once("age", words, () => {
      this.parts.age.textContent = words;
      if (this.plot.taken_at) this.parts.age.dateTime = this.plot.taken_at;
    });
  }

  #image(large) {
    const { plot, parts } = this;
    this.#once("image", `${plot.sha256} ${large}`, () => {
      const { image, picture } = parts;
      picture.classList.toggle("none", plot.sha256 === null);
      if (plot.sha256 === null) return;
      image.alt = `Newest image of ${plot.plot}`;
      if (plot.width && plot.height) {
        image.width = plot.width;
        image.height = plot.height;
      }
      const at = `/images/${plot.sha256}/thumbnail?width=`;
      image.sizes = large ? "(min-width: 60rem) 30rem, 100vw" : "160px";
      image.srcset = large ? `${at}320 320w, ${at}640 640w` : `${at}160 160w, ${at}320 320w`;
      image.src = large ? `${at}640` : `${at}160`;
    });
  }

  #heat(wanted) {
    const at = wanted ? `/api/v1/verdicts/${this.plot.verdict}/heatmap.png` : "";
    this.#once("heat", at, () => {
      const old = this.parts.picture.querySelector(".heat");
      if (!at) {
        old?.remove();
        return;
      }
      const heat = old ?? new Image();
      heat.className = "heat";
      heat.alt = "";
      heat.loading = "lazy";
      heat.onerror = () => heat.remove();
      heat.src = at;
      if (!old) this.parts.picture.append(heat);
    });
  }

  #text(name, words) {
    this.#once(name, words, () => {
      this.parts[name].textContent = words;
    });
  }

  #once(name, value, act) {
    if (this.#drawn[name] === value) return;
    this.#drawn[name] = value;
    act(value);
  }
}

/** A status that nobody can vouch for any more: never in its colour. */
function was(status) {
  const span = document.createElement("span");
  span.className = "badge status-unknown";
  span.append(shape("UNKNOWN"), ` was ${status}`);
  return span;
}

function call(expert, plot) {
  if (!expert) return [];
  if (!ADDRESS.test(expert)) return [`Call ${expert}`];
  const link = document.createElement("a");
  link.href = `mailto:${expert}?subject=${encodeURIComponent(wellFormed(plot))}`;
  link.textContent = expert;
  return ["Call ", link];
}

function seen(episode) {
  return episode?.acknowledged_at ? `Acknowledged by ${episode.acknowledged_by}` : "";
}

function encoded(plot) {
  return wellFormed(plot).split("/").map(encodeURIComponent).join("/");
}

function wellFormed(text) {
  return text.toWellFormed?.() ?? text;
}
