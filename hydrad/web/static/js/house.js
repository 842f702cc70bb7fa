// What every page uses: the API, words of time, badges, notes to the person.

/** Where scripts and styles lie, with their fingerprint. */
export const AT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** An answer of the API that is none of success; its message is a sentence for people. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** Ask the API; returns its document. Raises Refused, or TypeError when the server cannot be reached. */
export async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
  });
  if (answer.status === 204) return null;
  const document_ = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Refused(answer.status, words(document_.detail));
  return document_;
}

function words(detail) {
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((one) => `${(one.loc ?? []).slice(1).join(".")}: ${one.msg}`).join("; ");
  return "the server refused";
}

/** Tell the person something; trouble stays until it is clicked away. */
export function note(text, { trouble = false } = {}) {
  const line = document.createElement("button");
  line.type = "button";
  line.className = trouble ? "note trouble" : "note";
  line.textContent = text;
  line.addEventListener("click", () => line.remove());
  document.getElementById("notes").append(line);
  if (!trouble) setTimeout(() => line.remove(), 4000);
}

/** Do what may be refused, and tell the person when it was; returns undefined then. */
export async function trying(act) {
  try {
    return await act();
  } catch (fault) {
    note(fault instanceof Refused ? fault.message : "The server cannot be reached.", { trouble: true });
    return undefined;
  }
}

/** How long ago, in one number and a unit. */
export function ago(moment, now = Date.now()) {
  if (!moment) return "–";
  const s = Math.max(0, (now - Date.parse(moment)) / 1000);
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

/** A status as shape and word. */
export function badge(status) {
  const span = document.createElement("span");
  span.className = `badge status-${status.toLowerCase()}`;
  span.append(shape(status), ` ${status}`);
  return span;
}

export function shape(status) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("width", "16");
  svg.setAttribute("height", "16");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${AT}/shapes.svg#${status.toLowerCase()}`);
  svg.append(use);
  return svg;
}

/** A document that the server wrote into the page: <script type="application/json" id=…>. */
export function island(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

document.getElementById("theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("hydrad.theme", root.dataset.theme);
  } catch {
    // it holds for this page only
  }
  document.dispatchEvent(new CustomEvent("theme"));
});
