// Times as the hall's clock shows them, wherever the browser stands.

const HALF_HOUR_MS = 1_800_000;

/** A clock of a time zone by its IANA name. */
export function clockOf(zone) {
  const words = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  });
  const offsets = new Map(); // by half hour: no zone changes its offset within one

  function offset(at) {
    const slot = Math.floor(at / HALF_HOUR_MS);
    if (!offsets.has(slot)) {
      const start = slot * HALF_HOUR_MS;
      const part = Object.fromEntries(words.formatToParts(start).map(({ type, value }) => [type, Number(value)]));
      offsets.set(slot, Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - start);
    }
    return offsets.get(slot);
  }

  /** ms since 1970 as a chart wants them that knows no zones: what the hall's clock shows, taken for UTC. */
  const wall = (at) => at + offset(at);
  /** A time (ms, or ISO 8601) as the hall's clock shows it. */
  const say = (at) => new Date(wall(typeof at === "string" ? Date.parse(at) : at)).toISOString().slice(0, 19).replace("T", " ");
  return { wall, say };
}
