// Trainings: asked for, followed while they run, stopped and gone on with.

import { ago, ask, island, note, Refused, trying } from "./house.js";
import { decide, element } from "./library.js";

const OFTEN_MS = 1000; // while one runs or waits
const SELDOM_MS = 5000;
const SHOWN = 4; // that have ended; older ones are folded away

const told = island("island");
const rows = new Map(); // number → {item, said}
const logs = new Map(); // number → lines, of one that failed

// ---- the list ----

async function follow() {
  let wait = SELDOM_MS;
  try {
    if (!document.hidden) {
      const found = await ask("GET", "/api/v1/trainings");
      draw(found);
      if (found.trainings.some((one) => one.state === "running" || one.state === "queued")) wait = OFTEN_MS;
    }
  } catch (fault) {
    if (!(fault instanceof Refused || fault instanceof TypeError)) throw fault;
  }
  clearTimeout(follow.timer);
  follow.timer = setTimeout(follow, wait);
}

function draw(found) {
  const active = found.trainings.filter((one) => one.state === "running" || one.state === "queued");
  const ended = found.trainings.filter((one) => !active.includes(one));
  document.getElementById("trainings-none").hidden = found.trainings.length > 0;
  document.getElementById("trainings-older").hidden = ended.length <= SHOWN;
  arrange(document.getElementById("trainings-list"), [...active, ...ended.slice(0, SHOWN)], found.trains);
  arrange(document.getElementById("trainings-past"), ended.slice(SHOWN), found.trains);
}

function arrange(list, trainings, trains) {
  const items = trainings.map((one) => item(one, trains));
  if (items.length !== list.children.length || items.some((each, n) => each !== list.children[n])) list.replaceChildren(...items);
}

/** The line of one training: made once, and filled anew when something has changed. */
function item(one, trains) {
  const said = JSON.stringify([one, trains, logs.get(one.number), one.state === "running" && one.silent]);
  const known = rows.get(one.number);
  if (known?.said === said) return known.item;
  const line = known?.item ?? element("li", { "data-training": one.number });
  rows.set(one.number, { item: line, said });
  const focused = line.contains(document.activeElement) ? document.activeElement.dataset.does : null;
  const open = line.querySelector("details")?.open ?? false;
  line.replaceChildren(...parts(one, trains));
  if (focused) line.querySelector(`[data-does="${focused}"]`)?.focus();
  const details = line.querySelector("details");
  if (details) details.open = open;
  if (one.state === "failed" && told.expert && !logs.has(one.number)) fetchLog(one.number);
  return line;
}

async function fetchLog(number) {
  logs.set(number, []);
  const whole = await trying(() => ask("GET", `/api/v1/trainings/${number}`));
  if (whole?.log.length) {
    logs.set(number, whole.log);
    await follow();
  }
}

function* parts(one, trains) {
  const plots = one.plots.length > 3 ? `${one.plots.length} plots` : one.plots.join(", ");
  const how = [one.parent ? `fine-tunes ${one.parent}` : one.architecture, one.epochs && `${one.epochs} epochs`];
  yield element(
    "div",
    { class: "row" },
    element("span", { class: `run run-${one.state}` }, element("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[one.state]), ` ${one.state}`),
    element("strong", {}, `#${one.number} ${plots}`),
    element("span", { class: "quiet" }, [...how.filter(Boolean), `asked by ${one.person} ${ago(one.asked_at)} ago`].join(", ")),
    ...buttons(one),
  );
  if (one.state === "queued") yield element("p", { class: "quiet" }, waits(trains));
  if (one.state === "running") yield* running(one);
  if (one.state === "stopped" || one.state === "failed") yield element("p", { class: one.state === "failed" ? "trouble" : "" }, one.reason || one.state);
  const log = logs.get(one.number);
  if (one.state === "failed" && log?.length) {
    yield element("details", {}, element("summary", {}, "The end of its log"), element("pre", { tabindex: "0" }, log.join("\n")));
  }
  if (one.state === "done" && one.model) {
    yield element("p", {}, "Its model: ", element("a", { href: `/library/${encodeURIComponent(one.model)}` }, one.model));
  }
}

const GLYPHS = { queued: "…", running: "▶", stopped: "■", failed: "✕", done: "✓" };

function waits(trains) {
  return trains ? "Waits for its turn: one at a time is trained on a host." : "Waits for pages that train: here web.trains is false.";
}

function* buttons(one) {
  const button = (does, text, act) => {
    const made = element("button", { type: "button", "data-does": does, "aria-label": `${text} training ${one.number}` }, text);
    made.addEventListener("click", act);
    return made;
  };
  const post = (what) => async () => {
    await trying(() => ask("POST", `/api/v1/trainings/${one.number}/${what}`));
    await follow();
  };
  if (!told.expert) return;
  if ((one.state === "running" || one.state === "queued") && !one.stop_asked) yield button("stop", "Stop", post("stop"));
  if (one.can_resume) yield button("resume", "Resume", post("resume"));
  if (one.state === "done" && one.model) yield button("promote", "Promote…", () => decide(one.model, "promote"));
}

function* running(one) {
  const now = one.progress;
  const facts = [
    now.stage || "starting",
    now.attempt > 1 && `attempt ${now.attempt}`,
    now.epoch !== null && `epoch ${now.epoch} of ${now.epochs}`,
    now.loss !== null && `loss ${now.loss.toFixed(4)}`,
    now.balanced_accuracy !== null && `balanced accuracy ${now.balanced_accuracy.toFixed(3)}`,
    now.left_s !== null && `${duration(now.left_s)} left`,
    `on ${one.host}`,
    one.stop_asked && "stops as soon as it can",
    one.silent && "has not been heard of for a while",
  ].filter(Boolean);
  const bar = element("progress", { max: "1", "aria-label": `${now.stage || "starting"}, training ${one.number}` });
  if (now.stage) bar.value = now.done;
  yield element("div", { class: "row" }, bar, element("span", { class: "facts-now" }, facts.join(", ")));
  if (now.curve.length > 1) yield curve(now.curve, now.epochs ?? now.curve.length);
}

function duration(seconds) {
  return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** Loss and balanced accuracy so far, each in its own small drawing. */
function curve(points, epochs) {
  const losses = points.map(({ epoch, loss }) => [epoch, loss]);
  const accuracies = points.filter((one) => one.balanced_accuracy !== null).map((one) => [one.epoch, one.balanced_accuracy]);
  const made = element("div", { class: "row sparks" }, spark("loss", losses, epochs, Math.max(...losses.map(([, loss]) => loss))));
  if (accuracies.length > 1) made.append(spark("balanced accuracy", accuracies, epochs, 1));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function spark(name, points, epochs, most) {
  const svg = document.createElementNS(SVG, "svg");
  const last = points.at(-1)[1];
  for (const [key, value] of Object.entries({
    viewBox: "0 0 160 40",
    class: "spark",
    role: "img",
    "aria-label": `${name} by epoch, now ${last.toPrecision(3)}`,
  })) svg.setAttribute(key, value);
  const line = document.createElementNS(SVG, "polyline");
  const x = (epoch) => 2 + (156 * (epoch - 1)) / Math.max(1, epochs - 1);
  line.setAttribute("points", points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${(38 - (36 * value) / (most || 1)).toFixed(1)}`).join(" "));
  svg.append(line);
  return element("span", {}, element("span", { class: "quiet" }, `${name} `), svg);
}

// ---- asking for one ----

const form = document.getElementById("train-form");
if (form) {
  const dialog = document.getElementById("train");
  const field = (name) => document.getElementById(`train-${name}`);
  const boxes = () => [...form.querySelectorAll("input[name=plot]")];
  const byName = new Map(told.plots.map((one) => [one.name, one]));

  document.getElementById("train-open").addEventListener("click", () => {
    field("refused").textContent = "";
    weigh();
    dialog.showModal();
  });

  field("find").addEventListener("input", () => {
    const sought = field("find").value.toLowerCase();
    for (const line of form.querySelectorAll("[data-plot]")) line.hidden = !line.dataset.plot.toLowerCase().includes(sought);
  });

  const choose = (checked) => () => {
    for (const box of boxes()) if (!box.disabled && !box.closest("li").hidden) box.checked = checked;
    weigh();
  };
  field("all").addEventListener("click", choose(true));
  field("nothing").addEventListener("click", choose(false));
  form.addEventListener("change", weigh);

  field("architecture").addEventListener("change", () => {
    if (field("architecture").value === "plain" || !field("architecture").value) return;
    const side = field("architecture").value === "InceptionV3" ? 299 : 224; // the sizes they were made for
    field("width").value = side;
    field("height").value = side;
  });
  field("parent").addEventListener("change", () => {
    const taught = field("parent").value !== "";
    for (const name of ["architecture", "width", "height"]) field(name).disabled = taught; // its parent's
  });

  /** What would be learned from: how many images of each label, and what is amiss with that. */
  function weigh() {
    const chosen = boxes().filter((box) => box.checked).map((box) => byName.get(box.value));
    const labels = new Map();
    for (const plot of chosen) {
      for (const label of plot.labels) {
        const known = labels.get(label.name) ?? { images: 0, meanings: new Set() };
        known.images += label.images;
        if (label.images) known.meanings.add(label.meaning);
        labels.set(label.name, known);
      }
    }
    const emulated = field("emulate")?.checked ? new Set(told.emulate.map((one) => one.label)) : new Set();
    const there = [...labels].filter(([, one]) => one.images);
    const amiss = [];
    for (const [name, one] of labels) {
      if (one.meanings.size > 1) amiss.push(`“${name}” means different things for these plots: one model holds only one.`);
      else if (!one.images && !emulated.has(name)) amiss.push(`Of “${name}” there is no image: it is ignored.`);
      else if (one.images && one.images < told.few) amiss.push(`Of “${name}” there are few images (${one.images}).`);
    }
    const kinds = new Set([...there.map(([name]) => name), ...emulated]);
    if (chosen.length && kinds.size < 2) amiss.push("A model tells at least two labels apart: label images of another.");
    const sums = there.map(([name, one]) => `${one.images.toLocaleString("en")} ${name}`).join(" · ");
    field("tells").replaceChildren(
      element("p", {}, chosen.length ? `${chosen.length} plot${chosen.length === 1 ? "" : "s"}: ${sums}` : "Choose the plots that it shall serve."),
      ...amiss.map((text) => element("p", { class: "amiss" }, text)),
    );
    field("go").disabled = !chosen.length || kinds.size < 2 || [...labels.values()].some((one) => one.meanings.size > 1);
  }

  function wish() {
    const asked = {
      plots: boxes().filter((box) => box.checked).map((box) => box.value),
      epochs: Number(field("epochs").value),
      seed: Number(field("seed").value),
      good_share: Number(field("good").value),
      emulate: field("emulate")?.checked ?? true,
    };
    if (field("int8")) asked.int8 = field("int8").checked;
    if (field("id").value) asked.id = field("id").value;
    if (field("parent").value) asked.parent = field("parent").value;
    else {
      asked.width = Number(field("width").value);
      asked.height = Number(field("height").value);
      if (field("architecture").value) asked.architecture = field("architecture").value;
    }
    return asked;
  }

  field("go").addEventListener("click", async () => {
    if (!form.reportValidity()) return;
    try {
      const asked = await ask("POST", "/api/v1/trainings", wish());
      dialog.close();
      note(`Training ${asked.number} waits for its turn.`);
      await follow();
    } catch (fault) {
      field("refused").textContent = fault instanceof Refused ? fault.message : "The server cannot be reached.";
    }
  });
}

follow();
