// Labels on their way to the server: sent at once, and kept in this browser until the server has them.

import { Refused, ask } from "./house.js";

const GATHER_MS = 300; // what is given in quick succession goes together
const FIRST_WAIT_MS = 500; // before the first new attempt; doubled with each
const LONGEST_WAIT_MS = 8000;
const ANSWER_WITHIN_MS = 15000;
const MOST = 500; // marks in one request
const MOST_ON_LEAVING = 200; // browsers let a page that goes away send 64 KiB
const SHELF = "hydrad.mark/";
const ADDRESS = "/api/v1/labellings";

/** How many labels of other people wait in this browser for them to come back, by name. */
export function leftByOthers(person) {
  const found = new Map();
  for (const key of keys()) {
    const name = decodeURIComponent(key.slice(SHELF.length).split("/")[0]);
    if (name !== person) found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

/** One person's labels that the server does not have yet. */
export class Outbox {
  #shelf;
  #told;
  #settled;
  #marks = new Map(); // by plot and image: of each the newest only
  #sending = null; // what is under way
  #timer = null;
  #wait_ms = 0;
  #size = MOST;
  #ahead_ms = 0; // of the server's clock
  #last_ms = 0;
  #trouble = "";
  #kept = true;

  /**
   * told: called with { waiting, trouble, kept } whenever that changed.
   * settled: called with a list of { mark, effect } that the server has answered.
   */
  constructor(person, { told, settled }) {
    this.#shelf = `${SHELF}${encodeURIComponent(person)}/`;
    this.#told = told;
    this.#settled = settled;
    const left = keys().filter((key) => key.startsWith(this.#shelf)).map(read).filter(Boolean);
    left.sort((a, b) => (a.at < b.at ? -1 : 1));
    for (const mark of left) this.#marks.set(place(mark.plot, mark.sha256), mark);
    if (left.length) this.#soon(0);
    addEventListener("online", () => this.#soon(0));
    addEventListener("pagehide", () => this.#leave());
    addEventListener("beforeunload", (event) => {
      if (!this.#kept && this.#marks.size) event.preventDefault();
    });
    this.#say();
  }

  get waiting() {
    return this.#marks.size;
  }

  /** The label on its way for this image; undefined when there is none, null when one is being taken back. */
  pending(plot, sha256) {
    return this.#marks.get(place(plot, sha256))?.label;
  }

  /** Marks are dated by the server's clock, whatever this host's says. */
  clock(now) {
    this.#ahead_ms = Date.parse(now) - Date.now();
  }

  /** Take over marks: a list of { plot, sha256, label }. */
  add(marks) {
    this.#last_ms = Math.max(Date.now() + this.#ahead_ms, this.#last_ms + 1);
    const at = new Date(this.#last_ms).toISOString();
    for (const { plot, sha256, label } of marks) {
      const key = place(plot, sha256);
      const before = this.#marks.get(key);
      if (before) forget(this.#shelf, before);
      const mark = { id: unique(), plot, sha256, label, at };
      this.#marks.delete(key); // the newest goes to the end
      this.#marks.set(key, mark);
      this.#kept = keep(this.#shelf, mark) && this.#kept;
    }
    if (!this.#trouble) this.#soon(GATHER_MS);
    this.#say();
  }

  /** Send what waits now. */
  flush() {
    if (!this.#trouble) this.#soon(0);
  }

  #soon(wait_ms) {
    if (this.#sending) return;
    if (wait_ms && this.#timer !== null) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), wait_ms);
  }

  async #send() {
    this.#timer = null;
    if (this.#sending || !this.#marks.size) return;
    const batch = [...this.#marks.values()].slice(0, this.#size);
    this.#sending = batch;
    let wait_ms = GATHER_MS;
    try {
      const answer = await within(ask("POST", ADDRESS, { marks: batch }), ANSWER_WITHIN_MS);
      this.#answered(batch, answer.marks);
    } catch (fault) {
      wait_ms = this.#failed(batch, fault);
    }
    this.#sending = null;
    if (this.#marks.size) this.#soon(this.#trouble ? wait_ms : this.#size < MOST ? 1 : GATHER_MS);
    this.#say();
  }

  #answered(batch, answers) {
    const effects = new Map(answers.map((one) => [one.id, one.effect]));
    for (const mark of batch) this.#done(mark);
    this.#trouble = "";
    this.#wait_ms = 0;
    this.#size = MOST;
    this.#settled(batch.map((mark) => ({ mark, effect: effects.get(mark.id) })));
  }

  #failed(batch, fault) {
    const status = fault instanceof Refused ? fault.status : 0;
    if ([400, 413, 422].includes(status)) {
      // One of them is nothing this server takes: find it, and lose no other for it.
      if (batch.length === 1) {
        this.#done(batch[0]);
        this.#settled([{ mark: batch[0], effect: `refused: ${fault.message}` }]);
        this.#size = MOST;
      } else {
        this.#size = Math.ceil(batch.length / 2);
      }
      return 1;
    }
    this.#trouble = status === 401 ? "login" : status === 403 ? "forbidden" : "away";
    this.#wait_ms = Math.min(this.#wait_ms ? 2 * this.#wait_ms : FIRST_WAIT_MS, LONGEST_WAIT_MS);
    return this.#wait_ms;
  }

  #done(mark) {
    const key = place(mark.plot, mark.sha256);
    if (this.#marks.get(key)?.id === mark.id) this.#marks.delete(key);
    forget(this.#shelf, mark);
  }

  #leave() {
    // Whatever becomes of it, what is not answered stays in this browser and is sent at the next visit.
    const rest = [...this.#marks.values()].slice(0, MOST_ON_LEAVING);
    if (!rest.length) return;
    const body = JSON.stringify({ marks: rest });
    fetch(ADDRESS, { method: "POST", keepalive: true, body, headers: { "Content-Type": "application/json" } }).catch(() => {});
  }

  #say() {
    this.#told({ waiting: this.#marks.size, trouble: this.#trouble, kept: this.#kept });
  }
}

function place(plot, sha256) {
  return `${sha256} ${plot}`;
}

function unique() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}

function within(promise, limit_ms) {
  const limit = new Promise((_, fail) => setTimeout(() => fail(new TypeError("no answer")), limit_ms));
  return Promise.race([promise, limit]);
}

function keys() {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(SHELF));
  } catch {
    return []; // this browser keeps nothing
  }
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(shelf, mark) {
  try {
    localStorage.setItem(shelf + mark.id, JSON.stringify(mark));
    return true;
  } catch {
    return false; // full, or switched off: the page says so
  }
}

function forget(shelf, mark) {
  try {
    localStorage.removeItem(shelf + mark.id);
  } catch {
    // nothing was kept
  }
}
