// What is new, as it comes: /api/v1/events, and whether one may believe what one sees.

const SILENT_S = 6; // the server says something every two seconds
const GRACE_MS = 2500; // a stream that ends by itself is taken up again well within this
const AGAIN_MS = 3000; // between tries, where the browser has given up trying
const PAUSE_MS = 30000; // in a window that nobody sees: browsers allow few connections to one host

/**
 * Follows the server. Events, each with what it says as `detail`: "verdict", "health", "news", "acknowledged",
 * "missed" (look at everything again), and "state" when `gone`, `trouble` or `health` may have changed.
 */
export class Live extends EventTarget {
  #source = null;
  #after;
  #heardAt = Date.now();
  #goneSince = null;
  #ahead = 0; // of this browser's clock, ms: a wall display's clock may be wrong
  #timers = {};
  #held = false; // something wants it in the background too

  /** Why the data base cannot be asked, or null. */
  trouble = null;
  /** What the server last said of the daemon, or null. */
  health = null;
  /** True where one has to log in again. */
  refused = false;

  /**
   * @param {number|null} after the newest verdict the page knows
   * @param {string|null} now the server's time, when it wrote the page
   */
  constructor(after, now = null) {
    super();
    this.#after = after;
    if (now) this.#ahead = Date.parse(now) - Date.now();
    this.#connect();
    this.#timers.silence = setInterval(() => this.#listenToSilence(), 500);
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.#resume());
  }

  /** The server's time, in ms. */
  now() {
    return Date.now() + this.#ahead;
  }

  /** Since when (ms, this browser's clock) nothing is heard of the server; null while something is. */
  get gone() {
    return this.#goneSince;
  }

  /** Whether what is shown may be believed. */
  get live() {
    return this.why === null;
  }

  /** Why it may not: "connection", "database", "daemon", "stalled"; null while it may. */
  get why() {
    if (this.#goneSince !== null) return "connection";
    if (this.trouble) return "database";
    if (!this.health) return null; // nothing has been said yet
    if (!this.health.alive) return "daemon";
    return this.health.health === "STALLED" ? "stalled" : null;
  }

  /** Whether to go on in a window that nobody sees. */
  hold(held) {
    this.#held = held;
    if (held && !this.#source) this.#resume();
  }

  #connect() {
    clearTimeout(this.#timers.again);
    const source = new EventSource(this.#after === null ? "/api/v1/events" : `/api/v1/events?after=${this.#after}`);
    this.#source = source;
    source.addEventListener("verdict", (event) => {
      if (event.lastEventId) this.#after = Math.max(this.#after ?? 0, Number(event.lastEventId));
      this.#heard();
      this.#say("verdict", JSON.parse(event.data));
    });
    source.addEventListener("health", (event) => {
      this.health = JSON.parse(event.data);
      this.trouble = null; // it can be asked, or the next event says that it cannot
      this.#ahead = Date.parse(this.health.now) - Date.now();
      this.#heard();
      this.#say("health", this.health);
      this.#say("state");
    });
    source.addEventListener("trouble", (event) => {
      this.trouble = JSON.parse(event.data).words;
      this.#heard();
      this.#say("state");
    });
    for (const name of ["news", "acknowledged", "missed"]) {
      source.addEventListener(name, (event) => {
        this.#heard();
        this.#say(name, JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => this.#interrupted(source));
  }

  #interrupted(source) {
    if (source !== this.#source) return;
    this.#timers.grace ??= setTimeout(() => this.#gone(), GRACE_MS);
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    this.#close();
    this.#timers.again = setTimeout(() => this.#connect(), AGAIN_MS);
    fetch("/api/v1/news", { credentials: "same-origin" }).then(
      (answer) => {
        this.refused = answer.status === 401 || answer.status === 403;
        if (this.refused) this.#gone();
      },
      () => this.#gone(),
    );
  }

  #heard() {
    this.#heardAt = Date.now();
    clearTimeout(this.#timers.grace);
    this.#timers.grace = undefined;
    this.refused = false;
    if (this.#goneSince === null) return;
    this.#goneSince = null;
    this.#say("state");
    this.#say("missed", {});
  }

  #gone() {
    if (this.#goneSince !== null) return;
    this.#goneSince = this.#heardAt;
    this.#say("state");
  }

  #listenToSilence() {
    if (this.#source && Date.now() - this.#heardAt > SILENT_S * 1000) this.#gone();
  }

  #seen() {
    clearTimeout(this.#timers.pause);
    if (!document.hidden) this.#resume();
    else if (!this.#held) this.#timers.pause = setTimeout(() => !this.#held && this.#close(), PAUSE_MS);
  }

  #resume() {
    if (this.#source) return;
    this.#gone(); // until the server has been heard again, what is shown is old
    this.#connect();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
