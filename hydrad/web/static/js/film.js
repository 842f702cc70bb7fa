// A plot's last images: a strip that goes back as far as one likes, and one of them large with its heatmap.

import { ask, badge, island, shape, trying } from "./house.js";
import { api, el, moment } from "./settings.js";

const { plot } = island("facts");
const here = api(plot);
const $ = (id) => document.getElementById(id);
const state = { frames: [], shown: -1 };

/** Put the newest images before those that are there. */
export async function unroll(fresh) {
  const shots = await trying(() => ask("GET", `${here}/film?limit=${Math.min(200, fresh)}`));
  const known = new Set(state.frames.map((one) => one.id));
  const late = (shots ?? []).filter((one) => !known.has(one.id));
  state.frames.unshift(...late);
  if (state.shown >= 0) state.shown += late.length;
  $("film").prepend(...late.map(frame));
}

/** Go on into the past. */
export async function earlier() {
  const last = state.frames.at(-1);
  const before = last ? `?before=${encodeURIComponent(last.judged_at)}` : "";
  const shots = await trying(() => ask("GET", `${here}/film${before}`));
  if (!shots) return;
  state.frames.push(...shots);
  const end = $("film").querySelector(".more");
  end?.remove();
  $("film").append(...shots.map(frame));
  if (shots.length) {
    const more = el("li", { class: "more" }, el("button", { type: "button", text: "Earlier", onclick: () => earlier() }));
    $("film").append(more);
    new IntersectionObserver(([entry], watcher) => {
      if (!entry.isIntersecting || !more.isConnected) return;
      watcher.disconnect();
      earlier();
    }, { root: $("film") }).observe(more);
  } else if (!state.frames.length) {
    $("film").append(el("li", { class: "quiet", text: "There is no image of this plot yet." }));
  }
}

function said(shot) {
  return shot.label === null ? "no answer" : `${shot.label} at ${shot.confidence.toFixed(2)}`;
}

function frame(shot) {
  const picture = shot.kept
    ? el("img", { src: `/images/${shot.sha256}/thumbnail?width=160`, alt: "", loading: "lazy", width: 160, height: 106 })
    : el("span", { class: "gone quiet", text: "not kept" });
  const button = el("button", { type: "button", "data-id": shot.id, "aria-label": `${shot.status}, ${said(shot)}, ${moment(shot.judged_at)}`, onclick: () => show(shot.id) },
    picture, el("span", { class: `frame-words status-${shot.status.toLowerCase()}` }, shape(shot.status), ` ${said(shot)}`), el("span", { class: "quiet", text: moment(shot.judged_at).slice(11) }));
  return el("li", {}, button);
}

/** Show an image of the film. */
function show(id, { focus = false } = {}) {
  const place = state.frames.findIndex((one) => one.id === id);
  if (place < 0) return;
  state.shown = place;
  large(state.frames[place]);
  for (const button of $("film").querySelectorAll("button[data-id]")) {
    const current = button.dataset.id === String(id);
    if (current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    if (current) {
      $("film").scrollTo({ left: button.parentElement.offsetLeft - $("film").offsetLeft - 40 });
      if (focus) button.focus({ preventScroll: true });
    }
  }
  $("newer").disabled = place === 0;
  $("older").disabled = place === state.frames.length - 1;
}

/** Show the image of a verdict, be it in the film or not. */
export async function open(id) {
  if (state.frames.some((one) => one.id === id)) return show(id);
  const shots = await trying(() => ask("GET", `${here}/film?id=${id}`));
  if (shots?.length) {
    state.shown = -1;
    large(shots[0]);
  }
}

function large(shot) {
  $("large").hidden = false;
  const image = $("large-image");
  image.alt = `${plot}: ${said(shot)}`;
  if (shot.kept) image.src = `/images/${shot.sha256}`;
  else image.removeAttribute("src");
  $("whole").hidden = !shot.kept;
  $("whole").href = `/images/${shot.sha256}`;
  const heat = $("large-heat");
  heat.hidden = !shot.heatmap || !shot.kept;
  if (shot.heatmap) heat.src = `/api/v1/verdicts/${shot.id}/heatmap.png`;
  heat.style.opacity = $("opacity").value;
  $("large-title").replaceChildren(badge(shot.status), ` ${said(shot)}`);
  $("large-reason").textContent = shot.reason;
  const words = { judged: moment(shot.judged_at), taken: shot.taken_at ? moment(shot.taken_at) : "–", run: shot.run ?? "–", model: shot.model ?? "–", "people say": shot.human ?? "nothing yet" };
  $("large-words").replaceChildren(...Object.entries(words).flatMap(([term, text]) => [el("dt", { text: term }), el("dd", { text: String(text) })]));
}

async function step(by, focus) {
  if (state.shown < 0 && state.frames.length) return show(state.frames[0].id, { focus });
  if (state.shown + by >= state.frames.length) await earlier();
  const next = state.frames[state.shown + by];
  if (next) show(next.id, { focus });
}

$("opacity").addEventListener("input", () => ($("large-heat").style.opacity = $("opacity").value));
$("newer").addEventListener("click", () => step(-1));
$("older").addEventListener("click", () => step(1));
$("film").addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  step(by, true);
});
