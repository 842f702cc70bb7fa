// A sound when something has gone wrong, for those who ask for it.

import { kept } from "./kept.js";

let audio = null;
const box = document.getElementById("sound");

/** Ready the box; `hold` is told whether to go on listening in a window that nobody sees. */
export function readySound(hold) {
  const changed = () => {
    kept.set("sound", box.checked);
    hold(box.checked);
    if (!box.checked) return;
    audio ??= new AudioContext();
    if (audio.state === "suspended") audio.resume();
  };
  box.checked = kept.get("sound", false);
  box.addEventListener("change", changed);
  if (!box.checked) return;
  hold(true);
  addEventListener("pointerdown", changed, { once: true }); // browsers want a gesture before they make a sound
}

/** Two tones, high and low. */
export function alarm() {
  if (!box.checked || !audio) return;
  for (const [start, tone] of [[0, 880], [0.22, 660]]) {
    const voice = audio.createOscillator();
    const loud = audio.createGain();
    voice.frequency.value = tone;
    loud.gain.setValueAtTime(0.15, audio.currentTime + start);
    loud.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + start + 0.2);
    voice.connect(loud).connect(audio.destination);
    voice.start(audio.currentTime + start);
    voice.stop(audio.currentTime + start + 0.21);
  }
}
