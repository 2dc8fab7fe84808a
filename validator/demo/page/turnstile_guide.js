// @ts-check
/** The first minute, step by step: each ticks itself off when the gate has shown it. Nothing has to be done in this order. */

const CUT = 2;
const PULLED = 3;
const MENDED = 4;

export class Guide {
  constructor() {
    this.list = /** @type {HTMLElement} */ (document.querySelector('[data-testid="guide"]'));
    this.done = new Set();
    this.wasPulled = false;
  }

  /** @param {import("/static/turnstile_words.js").Words} words */
  speak(words) {
    this.draw(words);
  }

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} _now
   * @param {any} before
   */
  show(scene, words, _now, before) {
    if (!before) [this.done, this.wasPulled] = [new Set(), false]; // another demo
    const isNew = before && scene.tap && scene.tap.n !== before.tap?.n;
    if (isNew && scene.tap.outcome.startsWith("admitted")) this.done.add(0);
    if (isNew && scene.tap.outcome === "denied") this.done.add(scene.network === "cut" ? CUT : 1);
    if (scene.lane.plug === "pulled") this.wasPulled = true;
    else if (scene.lane.plug === "in" && this.wasPulled && scene.board.shows !== "out_of_service") this.done.add(PULLED);
    if (this.done.has(CUT) && scene.network === "up" && scene.reports.waiting === 0) this.done.add(MENDED);
    this.draw(words);
  }

  /** @param {import("/static/turnstile_words.js").Words} words */
  draw(words) {
    const next = words.steps.findIndex((_, number) => !this.done.has(number));
    const told = `${words.locale} ${[...this.done].sort()}`;
    if (this.list.dataset.told === told) return;
    this.list.dataset.told = told;
    this.list.dataset.done = String(this.done.size);
    const items = words.steps.map(([what, why], number) => {
      const item = document.createElement("li");
      item.dataset.state = this.done.has(number) ? "done" : number === next ? "next" : "later";
      const bold = document.createElement("b");
      bold.textContent = what;
      item.append(bold, why);
      return item;
    });
    if (next < 0) {
      const all = document.createElement("li");
      all.className = "all-done";
      all.textContent = words.stepsDone;
      items.push(all);
    }
    this.list.replaceChildren(...items);
  }
}
