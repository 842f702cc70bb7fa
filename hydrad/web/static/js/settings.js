// How a plot is judged: its settings as a form for those who may change them, and the history with a way back.

import { clockOf } from "./clock.js";
import { ask, island, note, trying } from "./house.js";

const WORDS = { on_delay: "on delay", off_delay: "off delay", on_window: "on window", off_window: "off window", enabled: "enabled", shelved_until: "shelved until", reason: "reason", "beam.on_above": "beam threshold" };
const SEVERITIES = ["NO_ALARM", "MINOR", "MAJOR", "INVALID"];

/** An element with text and children; nothing of it is read as HTML. */
export function el(name, { text, ...more } = {}, ...children) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(more)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export const api = (plot) => `/api/v1/plots/${plot.split("/").map(encodeURIComponent).join("/")}`;

export const { wall, say: moment } = clockOf(island("facts").zone);

export function named(change) {
  if (change.label !== null) return `threshold of ${change.label}`;
  return change.key.startsWith("pv.") ? `PV ${change.key.slice(3)}` : (WORDS[change.key] ?? change.key);
}

export function valued(key, value) {
  if (value === null) return "–";
  if (key === "shelved_until") return value ? moment(value * 1000) : "not shelved";
  if (key === "enabled") return value ? "on" : "off";
  if (key === "reason") return value ? "given" : "none";
  if (/^pv\..*SV$/.test(key)) return SEVERITIES[value] ?? String(value);
  return String(Math.round(value * 1e6) / 1e6);
}

/** A delay in words: how many images, in a row or within how many. */
function images(settings, side, kind) {
  const [delay, window] = [settings[`${side}_delay`], settings[`${side}_window`]];
  return window > delay ? `${delay} ${kind} images within ${window}` : `${delay} ${kind} images in a row`;
}

/** Draw the form; `changed` is told after each change. */
export function drawSettings(where, settings, { decides, changed }) {
  const plot = settings.plot;
  const put = (path, body) =>
    trying(async () => {
      await ask("PUT", `${api(plot)}/${path}`, body);
      note("Changed; the daemon judges by it at once.");
      await changed();
      return true;
    });
  const state = el("p", { class: "judged" });
  if (!settings.enabled) state.textContent = `Switched off by ${settings.by}: ${settings.reason}`;
  else if (settings.shelved_until) state.textContent = `Shelved until ${moment(settings.shelved_until)} by ${settings.by}: ${settings.reason}`;
  else state.textContent = "Watched.";
  const thresholds = el("tbody");
  for (const one of settings.labels) {
    const cell = el("td", { class: "number" });
    if (one.threshold === null) cell.append("the model does not know it");
    else if (!decides) cell.append(String(one.threshold));
    else cell.append(number(`Threshold of ${one.label}`, one.threshold, { max: 1, step: "any", min: 0, "data-label": one.label }, (value, reason) => put(`thresholds/${encodeURIComponent(one.label)}`, { value, reason })));
    thresholds.append(
      el("tr", {}, el("th", { scope: "row", text: one.label }), el("td", { text: one.meaning }), cell, el("td", { class: "number", text: one.suggested === null ? "–" : String(one.suggested) })),
    );
  }
  const table = el("table", { class: "thresholds" }, el("thead", {}, el("tr", {}, ...["label", "means", "threshold", "the model's own"].map((text, n) => el("th", { text, class: n > 1 ? "number" : null })))), thresholds);
  where.replaceChildren(state, el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Thresholds" }, table));
  if (!decides) {
    where.append(el("p", { text: `Alarm after ${images(settings, "on", "faulty")}, over after ${images(settings, "off", "good")}.` }));
    return;
  }
  const reason = el("input", { type: "text", maxlength: 500, size: 30, name: "reason" });
  where.prepend(el("p", {}, el("label", { text: "Why " }, reason)));
  function number(label, value, more, apply) {
    const input = el("input", { type: "number", value, "aria-label": label, class: "value", ...more });
    const button = el("button", { text: "Set", "aria-label": `Set: ${label}` });
    return el("form", { class: "row end", onsubmit: async (event) => {
      event.preventDefault();
      if (input.value !== "") await apply(input.valueAsNumber, reason.value);
    } }, input, button);
  }
  const whole = { min: 1, max: 1000, step: 1 };
  where.append(
    el("div", { class: "delays" },
      el("span", { text: "Faulty images that raise an alarm" }),
      number("On delay", settings.on_delay, { ...whole, "data-key": "on_delay" }, (value, why) => put("settings/on_delay", { value, reason: why })),
      el("span", { text: "… within so many images; 0: in a row" }),
      number("On window", settings.on_window, { ...whole, min: 0, "data-key": "on_window" }, (value, why) => put("settings/on_window", { value, reason: why })),
      el("span", { text: "Good images that end it" }),
      number("Off delay", settings.off_delay, { ...whole, "data-key": "off_delay" }, (value, why) => put("settings/off_delay", { value, reason: why })),
      el("span", { text: "… within so many images; 0: in a row" }),
      number("Off window", settings.off_window, { ...whole, min: 0, "data-key": "off_window" }, (value, why) => put("settings/off_window", { value, reason: why })),
      el("span", { text: "Shelve for so many minutes" }),
      settings.shelved_until
        ? el("button", { text: "Take it off the shelf", type: "button", onclick: () => put("settings/shelve", { value: 0, reason: reason.value }) })
        : number("Minutes on the shelf", 60, { min: 1, max: 10080, step: 1, "data-key": "shelve" }, (value, why) => put("settings/shelve", { value, reason: why })),
      el("span", { text: "Watch it at all" }),
      el("button", { text: settings.enabled ? "Switch it off" : "Switch it on", type: "button", onclick: () => put("settings/enabled", { value: settings.enabled ? 0 : 1, reason: reason.value }) }),
    ),
  );
}

/** Fill the table of changes; of which plot, detector or hall, where it is `ofAll`. */
export function drawHistory(body, changes, { decides, changed, ofAll = false }) {
  body.replaceChildren(
    ...changes.map((one) => {
      const back = el("td");
      if (decides && one.key !== "reason") {
        const what = `${named(one)}, ${moment(one.at)}`;
        back.append(el("button", { text: "Revert", type: "button", "aria-label": `Revert: ${what}`, onclick: () => trying(async () => {
          await ask("POST", `/api/v1/settings/${one.id}/revert`, {});
          note("Put back as it was.");
          await changed();
        }) }));
      }
      return el("tr", {},
        el("td", { text: moment(one.at) }), el("td", { text: `${one.by}@${one.host}` }),
        ...(ofAll ? [el("td", { text: one.plot ?? one.detector ?? "the hall" })] : []), el("td", { text: named(one) }),
        el("td", { class: "number", text: valued(one.key, one.old) }), el("td", { class: "number", text: valued(one.key, one.value) }),
        el("td", { text: one.via }), el("td", { text: one.reason }), back);
    }),
  );
}

/** Somebody's hands are in there: do not draw it anew under them. */
export const busy = (where) => where.contains(document.activeElement);

const nameOf = (input) => input.getAttribute("aria-label") ?? input.name;

/** What was written in there and not sent yet; `keep` puts it back after the form was drawn anew. */
export function written(where) {
  return new Map([...where.querySelectorAll("input")].filter((one) => one.value !== one.defaultValue).map((one) => [nameOf(one), one.value]));
}

export function keep(where, typed) {
  for (const input of where.querySelectorAll("input")) if (typed.has(nameOf(input))) input.value = typed.get(nameOf(input));
}
