// The rule on the wall, replayed over two weeks of images in the browser: the same as hydrad/web/what_if.py.

const [GOOD, OTHER, BAD, EMPTY, DOUBT, NOVEL, MASKED, SILENT] = [0, 1, 2, 3, 4, 5, 6, -1];
const BY_MEANING = { good: GOOD, other: OTHER, bad: BAD, empty: EMPTY };
const [CALM, SUSPECT, RAISED_BAD, RAISED_EMPTY] = [0, 1, 2, 3]; // CALM: neither alarming nor held
const OFF = 0;
const UNKNOWN = 2;
const FAULTY = new Set(["bad", "empty"]);

/** What some thresholds (by label) make of the images that `/scores` has sent. */
export function effect(said, thresholds) {
  const least = said.labels.map((label) => thresholds[label] ?? 1);
  const meaning = said.meanings.map((one) => BY_MEANING[one]);
  const faultyTo = said.human_meanings.map((one) => FAULTY.has(one));
  const out = { images: said.id.length, alarms: 0, alarms_false: 0, images_alarmed: 0, false: 0, missed: 0, confirmed: 0, unconfirmed: 0 };
  let status = CALM;
  let recent = nothing();
  let alarm = null;
  const close = () => {
    if (alarm?.fine && !alarm.faulty) out.alarms_false += 1;
    alarm = null;
  };
  for (let n = 0; n < said.id.length; n += 1) {
    const label = said.label[n];
    const code = label === SILENT ? SILENT : find(said, n, meaning[label], said.confidence[n] >= least[label]);
    if (label !== SILENT) {
      if (said.confidence[n] >= least[label]) out.confirmed += 1;
      else out.unconfirmed += 1;
    }
    if (code === SILENT) {
      if (status < RAISED_BAD) status = CALM;
      recent = nothing();
    } else status = earn(status, code, recent, said);
    const human = said.human[n];
    const taken = code === BAD || code === EMPTY;
    const faulty = human !== SILENT && faultyTo[human];
    const fine = human !== SILENT && !faulty;
    if (taken && fine) out.false += 1;
    if (faulty && !taken && code !== MASKED) out.missed += 1;
    if (status >= RAISED_BAD) {
      out.images_alarmed += 1;
      if (alarm === null) {
        out.alarms += 1;
        alarm = { fine: false, faulty: false };
      }
      alarm.fine ||= fine;
      alarm.faulty ||= faulty;
    } else close();
  }
  close();
  return out;
}

function find(said, n, meaning, sure) {
  let code = said.novel[n] ? NOVEL : DOUBT;
  if (sure && (meaning !== GOOD || !said.novel[n])) code = meaning;
  if (!said.needs_beam || code === GOOD || code === OTHER) return code;
  if (said.beam[n] === OFF) return MASKED;
  return code === EMPTY && said.beam[n] === UNKNOWN ? DOUBT : code;
}

const LONGEST = 1000; // images that a delay may look back over

/** What is remembered: the last codes, and how many of them count towards an alarm and towards its end. */
const nothing = () => ({ codes: [], on: 0, off: 0 });

/** The status with one more image, as hydrad/delays.py has it; `recent` takes it in. */
function earn(status, code, recent, { on_delay: onDelay, off_delay: offDelay, on_window: onWindow, off_window: offWindow }) {
  if (code === MASKED) {
    Object.assign(recent, nothing());
    return CALM;
  }
  recent.codes.push(code);
  if (recent.codes.length > 2 * LONGEST) recent.codes = recent.codes.slice(-LONGEST);
  recent.on = Math.min(recent.on + 1, LONGEST);
  recent.off = Math.min(recent.off + 1, LONGEST);
  const many = (within, ...wanted) => {
    let count = 0;
    for (let n = recent.codes.length - within; n < recent.codes.length; n += 1) if (wanted.includes(recent.codes[n])) count += 1;
    return count;
  };
  const towardsAlarm = Math.min(recent.on, Math.max(onDelay, onWindow));
  const raised = status >= RAISED_BAD;
  if (code === GOOD || code === OTHER) {
    const towardsEnd = Math.min(recent.off, Math.max(offDelay, offWindow));
    if (status !== CALM && many(towardsEnd, code) < offDelay) return status;
    if (raised) recent.on = 0;
    return CALM;
  }
  if (status === CALM) recent.off = 0;
  if (code === BAD || code === EMPTY) {
    const kind = code === BAD ? RAISED_BAD : RAISED_EMPTY;
    if (raised) {
      if (kind === status || many(towardsAlarm, code) < onDelay) return status;
      recent.on = 0;
      return kind;
    }
    if (many(towardsAlarm, BAD, EMPTY) < onDelay) return SUSPECT;
    [recent.on, recent.off] = [0, 0];
    return kind;
  }
  return raised ? status : SUSPECT; // SUSPECT and UNFAMILIAR are held alike
}

/** The images of a label that a move of its threshold takes to the other side, the nearest to the line first. */
export function turned(said, label, old, value) {
  const places = [];
  for (let n = 0; n < said.id.length; n += 1) {
    if (said.label[n] === label && said.confidence[n] >= old !== said.confidence[n] >= value) places.push(n);
  }
  return places.sort((a, b) => Math.abs(said.confidence[a] - value) - Math.abs(said.confidence[b] - value) || a - b);
}

/** Only what was judged from a time on (ms). */
export function from(said, time) {
  const first = said.at.findIndex((at) => at >= time);
  const cut = first < 0 ? said.at.length : first;
  const columns = Object.fromEntries(["id", "at", "label", "confidence", "novel", "beam", "human"].map((name) => [name, said[name].slice(cut)]));
  return { ...said, ...columns };
}
