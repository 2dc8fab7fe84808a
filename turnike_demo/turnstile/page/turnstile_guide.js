// @ts-check
/**
 * The first minute, step by step.
 *
 * Each step has the button that does it. It is done when the gate has shown its effect, and then
 * shows what was measured. The steps may be done in any order.
 */

import { duration } from "/static/turnstile_words.js";

/** @typedef {import("/static/turnstile_words.js").Words} Words */

const [ADMITTED, REFUSED, CUT, PULLED, RESTORED] = [0, 1, 2, 3, 4];

export class Guide {
  /** @param {(verb: object) => void} send */
  constructor(send) {
    this.list = /** @type {HTMLElement} */ (document.querySelector('[data-testid="guide"]'));
    /** The sentence of each step that is done. @type {Map<number, (words: Words) => string>} */
    this.seen = new Map();
    /** @type {any} */
    this.scene = null;
    /** @type {Words | null} */
    this.words = null;
    this.items = [ADMITTED, REFUSED, CUT, PULLED, RESTORED].map((number) =>
      this.item(number, send),
    );
    this.all = document.createElement("li");
    this.all.className = "all-done";
    this.list.replaceChildren(...this.items, this.all);
  }

  /** @param {Words} words */
  speak(words) {
    this.draw(words);
  }

  /**
   * @param {any} scene
   * @param {Words} words
   * @param {number} _now
   * @param {any} before
   */
  show(scene, words, _now, before) {
    this.scene = scene;
    if (!before) this.seen.clear(); // another demo
    if (before && scene.tap && scene.tap.n !== before.tap?.n)
      this.tapped(scene.tap, scene.network === "cut");
    const { cut, pull } = scene.facts;
    if (pull && pull.took_ms !== null && pull.kept === pull.on_disk)
      this.done(PULLED, (words) => words.came.plugged(pull));
    if (this.seen.has(CUT) && cut && scene.network === "up" && isAllInTheCity(scene.reports))
      this.done(RESTORED, (words) => words.came.restored(cut.waited, scene.reports));
    this.draw(words);
  }

  /** @param {any} tap @param {boolean} isCut */
  tapped(tap, isCut) {
    const isAdmitted = tap.outcome.startsWith("admitted");
    if (!isAdmitted && tap.outcome !== "denied") return;
    this.done(isAdmitted ? ADMITTED : isCut ? CUT : REFUSED, (words) =>
      words.seenStep(
        words.total(
          /** @type {any} */ (words.outcomes)[tap.outcome],
          duration(tap.total_us, words),
        ),
        isCut,
      ),
    );
  }

  /** @param {number} number @param {(words: Words) => string} sentence */
  done(number, sentence) {
    if (!this.seen.has(number)) this.seen.set(number, sentence);
  }

  get next() {
    return this.items.findIndex((_, number) => !this.seen.has(number));
  }

  /**
   * The verb and the label of a step's button; null while the visitor can only wait.
   * @param {number} number
   * @param {Words} words
   * @returns {[object | null, string]}
   */
  does(number, words) {
    const { network, lane } = this.scene ?? { network: "up", lane: { plug: "in" } };
    const isUp = network === "up";
    switch (number) {
      case ADMITTED:
        return [{ verb: "tap", card: "matched" }, words.lay.matched];
      case CUT:
        if (isUp) return [{ verb: "network", up: false }, words.does.network(true)];
        return [{ verb: "tap", card: "suspended" }, words.lay.suspended];
      case REFUSED:
        return [{ verb: "tap", card: "suspended" }, words.lay.suspended];
      case PULLED:
        if (lane.plug === "starting") return [null, words.came.starting];
        return [{ verb: "plug", in: lane.plug === "pulled" }, words.does.plug(lane.plug === "in")];
      default:
        return [
          isUp ? null : { verb: "network", up: true },
          isUp ? words.underWay : words.does.network(false),
        ];
    }
  }

  /** @param {Words} words */
  draw(words) {
    this.words = words;
    const next = this.next;
    const had = this.items.findIndex((item) => item.contains(document.activeElement));
    this.list.dataset.done = String(this.seen.size);
    this.items.forEach((item, number) => {
      const sentence = this.seen.get(number);
      item.dataset.state = sentence ? "done" : number === next ? "next" : "later";
      if (number === next) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      const [what, ask] = words.steps[number];
      put(item, "b", what);
      put(item, ".why", sentence ? sentence(words) : ask);
      const [verb, label] = this.does(number, words);
      const button = /** @type {HTMLButtonElement} */ (item.querySelector("button"));
      button.hidden = number !== next;
      button.disabled = !this.scene || !verb;
      put(item, "button", label);
    });
    this.all.hidden = next >= 0;
    const all = next < 0 ? words.stepsDone(this.scene.reports) : "";
    if (this.all.textContent !== all) this.all.textContent = all;
    // A visitor with a keyboard had the button of the finished step in focus.
    if (had >= 0 && had !== next) this.items[next]?.querySelector("button")?.focus();
  }

  /** @param {number} number @param {(verb: object) => void} send */
  item(number, send) {
    const item = document.createElement("li");
    item.dataset.step = String(number + 1);
    const why = document.createElement("span");
    why.className = "why";
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.testid = `guide-${number + 1}`;
    button.addEventListener("click", () => {
      const [verb] = this.words ? this.does(number, this.words) : [null];
      if (verb) send(verb);
    });
    item.append(document.createElement("b"), why, button);
    return item;
  }
}

/** Whether the city has every report, by its own count and the gate's. @param {any} reports */
function isAllInTheCity(reports) {
  return (
    reports.waiting === 0 &&
    reports.city_missing === 0 &&
    reports.city_received === reports.delivered
  );
}

/** @param {HTMLElement} item @param {string} selector @param {string} text */
function put(item, selector, text) {
  const part = /** @type {HTMLElement} */ (item.querySelector(selector));
  if (part.textContent !== text) part.textContent = text;
}
