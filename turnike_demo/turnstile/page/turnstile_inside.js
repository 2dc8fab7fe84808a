// @ts-check
/**
 * The stages of the last tap as bars on a logarithmic scale, the earlier taps, and percentiles.
 *
 * The heading has the tap's age, and marks it as past once another card has come. The section's
 * height never changes.
 */

import { count, duration } from "/static/turnstile_words.js";

const STAGES = ["radio", "decide", "report", "tell", "wire"];
const SIMULATED = ["radio", "wire"];
const DECADES = 6; // of the scale, from 1 µs: a second is its end
const AXIS = ["1 µs", "1 ms", "1 s"]; // each third decade
const NOW_S = 3; // for so long the heading is "this tap"

export class Inside {
  constructor() {
    this.stages = /** @type {HTMLElement} */ (document.querySelector(".stages"));
    this.total = /** @type {HTMLElement} */ (document.querySelector('[data-testid="tap"]'));
  }

  /** @param {import("/static/turnstile_words.js").Words} words */
  speak(words) {
    const axis = /** @type {HTMLElement} */ (document.querySelector(".axis"));
    axis.replaceChildren(
      ...AXIS.map((text) => {
        const mark = document.createElement("span");
        mark.textContent = text;
        return mark;
      }),
    );
    this.words = words;
  }

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} now
   */
  show(scene, words, now) {
    const { tap } = scene;
    const stages = new Map(
      (tap?.stages ?? []).map((/** @type {any} */ stage) => [stage.name, stage.us]),
    );
    const names = stages.has("wait") ? ["radio", "wait", ...STAGES.slice(2)] : STAGES;
    this.stages.replaceChildren(...names.map((name) => this.stage(name, stages.get(name), words)));
    this.total.dataset.outcome = tap?.outcome ?? "";
    this.total.dataset.n = String(tap?.n ?? 0);
    this.total.replaceChildren();
    if (tap) {
      const bold = document.createElement("b");
      bold.textContent = words.total(
        /** @type {any} */ (words.outcomes)[tap.outcome] ?? tap.outcome,
        duration(tap.total_us, words),
      );
      const own = (tap.stages ?? []).filter(
        (/** @type {any} */ stage) => !SIMULATED.includes(stage.name) && stage.name !== "wait",
      );
      const ownUs = own.reduce(
        (/** @type {number} */ sum, /** @type {any} */ stage) => sum + stage.us,
        0,
      );
      const note = document.createElement("small");
      note.textContent = words.own(duration(ownUs, words), scene.timing === "real");
      this.total.append(bold, note);
    } else {
      const none = document.createElement("small");
      none.textContent = words.noTap;
      this.total.append(none);
    }
    this.earlier(scene.taps ?? [], words);
    this.percentiles(scene.percentiles, words);
    this.tick(scene, words, now);
  }

  /**
   * Update the heading: which tap, and how long ago.
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} now
   */
  tick(scene, words, now) {
    const age = Math.max(Math.floor(now - scene.tap_unix_s), 0);
    const isPast = Boolean(scene.tap) && (scene.tap_is_past || scene.lane.plug !== "in");
    const text = !scene.tap
      ? words.inside
      : isPast
        ? words.insideBefore(words.seconds(age))
        : age < NOW_S
          ? words.inside
          : words.insideLast(words.seconds(age));
    const title = /** @type {HTMLElement} */ (document.querySelector(".inside h2"));
    if (title.textContent !== text) title.textContent = text;
    /** @type {HTMLElement} */ (document.querySelector(".inside")).dataset.past = String(isPast);
  }

  /**
   * @param {string} name
   * @param {number | undefined} us
   * @param {import("/static/turnstile_words.js").Words} words
   */
  stage(name, us, words) {
    const item = document.createElement("li");
    item.dataset.testid = `stage-${name}`;
    item.dataset.us = String(us ?? "");
    item.dataset.simulated = String(SIMULATED.includes(name));
    const label = document.createElement("span");
    label.textContent = words.stages[/** @type {"radio"} */ (name)];
    if (SIMULATED.includes(name)) {
      const note = document.createElement("small");
      note.textContent = words.simulated;
      label.append(note);
    }
    const bar = document.createElement("span");
    bar.className = "bar";
    const fill = document.createElement("span");
    fill.className = "fill";
    fill.style.width = us
      ? `${Math.min((Math.log10(Math.max(us, 1)) / DECADES) * 100 + 0.6, 100)}%`
      : "0";
    bar.append(fill);
    const figure = document.createElement("span");
    figure.className = "figure";
    figure.textContent =
      us === undefined ? "–" : us === 0 && name === "report" ? words.noStage : duration(us, words);
    item.append(label, bar, figure);
    return item;
  }

  /** @param {any[]} taps @param {import("/static/turnstile_words.js").Words} words */
  earlier(taps, words) {
    const list = /** @type {HTMLElement} */ (document.querySelector(".earlier"));
    list.replaceChildren(
      ...taps.map((tap) => {
        const item = document.createElement("li");
        item.dataset.outcome = tap.outcome;
        const outcome = /** @type {any} */ (words.outcomes)[tap.outcome] ?? tap.outcome;
        item.textContent = `${outcome}, ${duration(tap.total_us, words)}`;
        return item;
      }),
    );
  }

  /** @param {any} percentiles @param {import("/static/turnstile_words.js").Words} words */
  percentiles(percentiles, words) {
    const taps = percentiles?.told_us?.count ?? 0;
    const caption = /** @type {HTMLElement} */ (document.querySelector(".percentiles caption"));
    caption.textContent = words.taps(count(taps, words), taps);
    for (const row of document.querySelectorAll("[data-figure]")) {
      for (const cell of row.querySelectorAll("[data-part]")) {
        const us =
          percentiles?.[/** @type {HTMLElement} */ (row).dataset.figure ?? ""]?.[
            /** @type {HTMLElement} */ (cell).dataset.part ?? ""
          ];
        cell.textContent = us === undefined || !taps ? "–" : duration(us, words);
      }
    }
  }
}
