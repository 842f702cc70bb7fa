// Why one sees nothing, or must not believe what one sees, in words.

import { ago } from "./house.js";

/** Why there is nothing to see. */
export function whyEmpty(live, watched, now) {
  if (live.why === "connection") return "The wall is empty, since the server cannot be reached.";
  if (live.trouble) return "The wall is empty, since the data base does not answer. It fills by itself when it is back.";
  const { health } = live;
  if (!health?.known) return "The wall is empty, since no daemon has ever worked on this data base: start it with “hydrad run”.";
  if (!health.alive) {
    return `The wall is empty, and the daemon on ${health.host} has said nothing for ${ago(health.beat_at, now)}: start it again.`;
  }
  const where = watched.length ? `It watches ${watched.join(", ")}.` : "It watches no folder: see [[watch]] in hydra.toml.";
  const beam = health.beam?.state === "OFF" ? " There is no beam, so there may be nothing to write." : "";
  return `The wall is empty, since no image has come yet. The daemon on ${health.host} is ${health.health}. ${where}${beam}`;
}

/** What the sign over everything says; empty while what is shown may be believed, or where there is nothing. */
export function signWords(live, empty) {
  const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
  switch (live.why) {
    case "connection":
      if (live.refused) return "NOT LIVE: the server does not know you any more. Log in again; what you see is old.";
      return `NOT LIVE: the connection to the server is gone since ${clock(live.gone)}. What you see is old.`;
    case "database":
      return "NOT LIVE: the data base does not answer. What you see is old.";
    case "daemon":
      if (!live.health.known) return empty ? "" : "NOT LIVE: there is no daemon. What you see is old.";
      return `NOT LIVE: the daemon on ${live.health.host} has said nothing since ${clock(Date.parse(live.health.beat_at))}. What you see is old.`;
    case "stalled":
      return `NOT LIVE: the daemon is stalled (${live.health.why || "it does not say why"}). What you see is old.`;
    default:
      return "";
  }
}
