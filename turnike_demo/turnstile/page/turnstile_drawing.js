// @ts-check
/** The picture: lamp, display, arms, cards on the reader, and passengers; it follows the board. */

const SVG = "http://www.w3.org/2000/svg";
const HUB = "translate(381 372)";
const WALK_MS = 1_100;

/** @param {string} selector */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Drawing {
  constructor() {
    this.gate = find(".gate");
    this.display = find('[data-testid="display"]');
    this.arms = find(".arms");
    this.turned = 0;
    this.drawArms();
  }

  speak() {}

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} _now
   * @param {any} before
   */
  show(scene, words, _now, before) {
    const { board, reader, lane } = scene;
    const outcome = board.shows;
    this.gate.dataset.outcome = outcome;
    this.gate.dataset.arms = board.arms;
    this.gate.dataset.reader = String(reader.plugged);
    find('[data-testid="lamp"]').dataset.outcome = outcome;
    this.arms.dataset.arms = board.arms;
    this.light("power", lane.plug === "in");
    this.light("reader", reader.plugged);
    this.light("network", scene.network === "up");
    this.showTexts(board, scene.tap?.n !== before?.tap?.n);
    this.lay(reader.cards);
    this.describe(scene, words, before);
    if (before && board.passed + board.walked_free > before.board.passed + before.board.walked_free)
      this.walk(board.arms === "free");
    this.arms.firstElementChild?.setAttribute(
      "visibility",
      board.arms === "free" ? "hidden" : "visible",
    );
    this.arms.lastElementChild?.setAttribute(
      "visibility",
      board.arms === "free" ? "visible" : "hidden",
    );
  }

  /** @param {string} device @param {boolean} on */
  light(device, on) {
    find(`[data-device="${device}"]`).dataset.on = String(on);
    find(`[data-cross="${device}"]`).dataset.on = String(on);
  }

  /**
   * Show the board's own texts, in both languages whatever the page's language. A new tap is
   * written again even if the text is the same, so that a screen reader reads it.
   * @param {any} board
   * @param {boolean} isNew
   */
  showTexts(board, isNew) {
    this.display.dataset.outcome = board.shows;
    for (const language of ["tr", "en"]) {
      const line = find(`.display-${language}`);
      const text = board[`text_${language}`];
      if (isNew || line.textContent !== text) line.textContent = text;
    }
  }

  /** @param {string[]} cards by name */
  lay(cards) {
    const reader = find('[data-testid="reader"]');
    if (reader.dataset.cards === cards.join(" ")) return;
    reader.dataset.cards = cards.join(" ");
    reader.replaceChildren(
      ...cards.map((name) => {
        const card = document.createElement("i");
        card.className = "laid";
        card.dataset.card = name;
        return card;
      }),
    );
  }

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {any} before
   */
  describe(scene, words, before) {
    const seen = find('[data-testid="seen"]');
    if (before && scene.reader.left_early > before.reader.left_early)
      this.leftEarly = scene.tap?.n ?? 0;
    const early =
      this.leftEarly !== undefined &&
      this.leftEarly === (scene.tap?.n ?? 0) &&
      scene.board.shows === "ready";
    if (!early && scene.board.shows !== "ready") this.leftEarly = undefined;
    const { lamp, tone, arms } = scene.board;
    const shown = words.seen.shows(
      /** @type {any} */ (words.seen.lamp)[lamp] ?? lamp,
      tone && /** @type {any} */ (words.seen.tone[tone] ?? tone),
    );
    const state = /** @type {any} */ (words.seen)[arms];
    const text = early ? `${words.seen.leftEarly} ${state}` : `${shown} ${state}`;
    if (seen.textContent !== text) seen.textContent = text;
  }

  drawArms() {
    const clip = element("clipPath", { id: "left-of-pillar" }, [
      element("rect", { x: -260, y: -150, width: 262, height: 320 }),
    ]);
    const arms = [0, 120, 240].map((angle) =>
      element("g", { transform: `rotate(${angle})` }, [
        element("path", { class: "arm-edge", d: "M-14 0H-186" }),
        element("path", { class: "arm", d: "M-14 0H-186" }),
      ]),
    );
    this.tripod = element("g", {}, arms);
    const hub = () => [
      element("circle", { class: "hub", r: 25 }),
      element("circle", { class: "arms-locks", r: 8 }),
    ];
    const turning = element("g", { transform: HUB }, [
      clip,
      element("g", { "clip-path": "url(#left-of-pillar)" }, [this.tripod]),
      ...hub(),
    ]);
    const hanging = element("g", { transform: HUB, visibility: "hidden" }, [
      element("path", { class: "arm-edge", d: "M-4 14L-16 112" }),
      element("path", { class: "arm", d: "M-4 14L-16 112" }),
      ...hub(),
    ]);
    this.arms.replaceChildren(turning, hanging);
  }

  /**
   * Let a passenger walk through: the arms turn by a third, unless they hang free.
   * @param {boolean} isFree
   */
  walk(isFree) {
    if (isStill()) return;
    if (!isFree) {
      const from = this.turned;
      this.turned -= 120;
      this.tripod?.animate(
        [{ transform: `rotate(${from}deg)` }, { transform: `rotate(${this.turned}deg)` }],
        { duration: WALK_MS, easing: "ease-in-out" },
      );
    }
    const steps = [
      { transform: "translate(270px, 640px) scale(1.25)", opacity: 1 },
      { transform: "translate(272px, 500px) scale(1.02)", opacity: 1 },
      { transform: "translate(268px, 350px) scale(.62)", opacity: 1 },
      { transform: "translate(262px, 318px) scale(.5)", opacity: 0 },
    ];
    const walker = figure();
    document.querySelector('[data-layer="front"]')?.append(walker);
    walker
      .animate(steps, { duration: WALK_MS * 1.4, easing: "linear" })
      .finished.finally(() => walker.remove());
  }
}

/** A passenger from behind, 240 high, with the feet at the origin. */
function figure() {
  return element("g", { class: "walker" }, [
    element("path", { d: "M-34 0V-86q-10-60 2-84 8-16 32-16t32 16q12 24 2 84V0H6V-70H-6V0z" }),
    element("path", { class: "bag", d: "M-22-158h44v62h-44z" }),
    element("circle", { class: "skin", cy: -206, r: 21 }),
    element("path", { d: "M-22-206a22 22 0 0 1 44 0q-10-8-22-8t-22 8z" }),
  ]);
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {Element[]} children
 */
function element(name, attributes, children = []) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}
