// @ts-check
/** The tray: cards to drag onto the reader or to click, each with its state in the city. */

import { clock } from "/static/turnstile_words.js";

const DRAG_PX = 8;
const PLAYS = [
  "matched",
  "suspended",
  "unmatched",
  "brief",
  "staff",
  "phone",
  "clash",
  "pull-early",
];
/** The verbs of items that are no single card. */
const VERBS = { clash: { verb: "clash" }, "pull-early": { verb: "pull_early" } };

export class Tray {
  /** @param {(verb: object) => void} send */
  constructor(send) {
    this.send = send;
    this.list = /** @type {HTMLElement} */ (document.querySelector(".cards"));
    this.reader = /** @type {HTMLElement} */ (document.querySelector('[data-testid="reader"]'));
    this.list.replaceChildren(...PLAYS.map((name) => this.item(name)));
  }

  /** @param {import("/static/turnstile_words.js").Words} words */
  speak(words) {
    for (const name of PLAYS) {
      const [title, what] = words.cards[/** @type {"matched"} */ (name)];
      this.part(name, "b").textContent = title;
      this.part(name, ".state").textContent = what;
    }
  }

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} now
   */
  show(scene, words, now) {
    for (const card of scene.tray) {
      const item = this.list.querySelector(`[data-item="${card.name}"]`);
      if (item) /** @type {HTMLElement} */ (item).dataset.suspended = String(card.suspended);
    }
    this.tick(scene, words, now);
  }

  /**
   * Update the second line of each card: its state in the city, else its kind.
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} now
   */
  tick(scene, words, now) {
    for (const card of scene.tray) {
      const left = card.ends_unix_s === null ? 0 : card.ends_unix_s - now;
      const is = card.suspended
        ? words.suspended
        : words.cards[/** @type {"matched"} */ (card.name)][1];
      const text = card.asked ? words.asked[/** @type {"suspend"} */ (card.asked)] : is;
      this.write(
        this.part(card.name, ".state"),
        text,
        card.suspended && !card.asked && left > 0 ? [words.endsIn, clock(left)] : ["", ""],
      );
    }
  }

  /**
   * Write a card's state and when it ends; small screens hide the words before the time.
   * @param {HTMLElement} state
   * @param {string} text
   * @param {string[]} ends
   */
  write(state, text, [words, time]) {
    const whole = time ? `${text} · ${words}${time}` : text;
    if (state.textContent === whole) return;
    const before = document.createElement("span");
    before.className = "ends";
    before.textContent = words;
    state.replaceChildren(text, ...(time ? [" · ", before, time] : []));
  }

  /** @param {string} name @param {string} selector */
  part(name, selector) {
    return /** @type {HTMLElement} */ (
      this.list.querySelector(`[data-item="${name}"] ${selector}`)
    );
  }

  /** @param {string} name */
  item(name) {
    const item = document.createElement("li");
    item.dataset.item = name;
    const card = document.createElement("button");
    card.type = "button";
    card.className = "card";
    card.dataset.card = name;
    card.dataset.testid = name in VERBS ? name : `card-${name}`;
    const state = document.createElement("small");
    state.className = "state";
    card.append(document.createElement("b"), state);
    item.append(card);
    this.makeMovable(card, () =>
      this.send(/** @type {any} */ (VERBS)[name] ?? { verb: "tap", card: name }),
    );
    return item;
  }

  /**
   * Lay the card on the reader at a click, or at a drag that ends there.
   * @param {HTMLElement} card
   * @param {() => void} lay
   */
  makeMovable(card, lay) {
    /** @type {HTMLElement | null} */
    let moving = null;
    let start = { x: 0, y: 0 };
    let isDone = false; // the pointer has acted: a click event that follows is ignored
    card.addEventListener("pointerdown", (event) => {
      start = { x: event.clientX, y: event.clientY };
      isDone = false;
      card.setPointerCapture(event.pointerId);
    });
    card.addEventListener("pointermove", (event) => {
      if (!card.hasPointerCapture(event.pointerId)) return;
      if (!moving && Math.hypot(event.clientX - start.x, event.clientY - start.y) > DRAG_PX) {
        moving = /** @type {HTMLElement} */ (card.cloneNode(true));
        moving.classList.add("dragged");
        moving.removeAttribute("data-testid");
        moving.setAttribute("aria-hidden", "true");
        document.body.append(moving);
        isDone = true;
      }
      if (moving) {
        moving.style.left = `${event.clientX}px`;
        moving.style.top = `${event.clientY}px`;
        this.reader.dataset.over = String(this.isOver(event));
      }
    });
    const end = (/** @type {PointerEvent} */ event) => {
      if (!moving) {
        // A touch that ends where it began: browsers do not always send a click.
        if (event.type === "pointerup" && event.pointerType === "touch" && !isDone) {
          isDone = true;
          lay();
        }
        return;
      }
      moving.remove();
      moving = null;
      this.reader.dataset.over = "false";
      if (event.type === "pointerup" && this.isOver(event)) lay();
    };
    card.addEventListener("pointerup", end);
    card.addEventListener("pointercancel", end);
    card.addEventListener("click", (event) => {
      if (!isDone || event.detail === 0) lay(); // detail 0: Enter or Space
    });
  }

  /** @param {PointerEvent} event */
  isOver(event) {
    const box = this.reader.getBoundingClientRect();
    return (
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom
    );
  }
}
