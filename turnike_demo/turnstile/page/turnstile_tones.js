// @ts-check
/** The tones of a turnstile, by Web Audio, off at first; they follow the board's display. */

/**
 * Each tone: its frequency in hertz, its start and its length in seconds.
 * @type {Record<string, [number, number, number][]>}
 */
const TONES = {
  admitted: [[880, 0, 0.14]],
  admitted_with_notice: [
    [880, 0, 0.12],
    [880, 0.2, 0.12],
  ],
  denied: [
    [196, 0, 0.18],
    [196, 0.24, 0.18],
    [196, 0.48, 0.3],
  ],
  try_again: [
    [620, 0, 0.1],
    [440, 0.12, 0.16],
  ],
  unsupported: [
    [620, 0, 0.1],
    [440, 0.12, 0.16],
  ],
};
const VOLUME = 0.08;

export function sounds() {
  /** @type {AudioContext | null} */
  let audio = null;
  return {
    on: false,
    turn() {
      this.on = !this.on;
      audio ??= new AudioContext(); // browsers allow it after a click
    },
    /** @param {any} before @param {any} scene */
    play(before, scene) {
      if (!this.on || !audio || !before) return;
      if (before.board.shows === scene.board.shows && before.tap?.n === scene.tap?.n) return;
      for (const [hertz, begins, lasts] of TONES[scene.board.shows] ?? [])
        beep(audio, hertz, begins, lasts);
    },
  };
}

/**
 * @param {AudioContext} audio
 * @param {number} hertz
 * @param {number} begins
 * @param {number} lasts
 */
function beep(audio, hertz, begins, lasts) {
  const tone = new OscillatorNode(audio, {
    type: hertz < 300 ? "square" : "sine",
    frequency: hertz,
  });
  const volume = new GainNode(audio, { gain: VOLUME });
  tone.connect(volume).connect(audio.destination);
  tone.start(audio.currentTime + begins);
  tone.stop(audio.currentTime + begins + lasts);
}
