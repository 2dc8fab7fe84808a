// @ts-check
/** What passes between gate and city: the list and its age, the reports, and suspended cards. */

import { clock, count } from "/static/turnstile_words.js";

/** @typedef {import("/static/turnstile_words.js").Words} Words */

// Without the phone, which no list can name.
const CARDS = ["matched", "suspended", "unmatched", "brief", "staff"];

/** @param {string} selector */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));

export class City {
  /** @param {(verb: object) => void} send */
  constructor(send) {
    this.list = find(".suspensions");
    this.list.replaceChildren(...CARDS.map((name) => this.item(name, send)));
  }

  speak() {}

  /**
   * @param {any} scene
   * @param {Words} words
   * @param {number} now
   */
  show(scene, words, now) {
    const { reports } = scene;
    for (const [test, value] of [
      ["reports-waiting", reports.waiting],
      ["reports-delivered", reports.delivered],
      ["city-received", reports.city_received],
    ]) {
      const figure = find(`[data-testid="${test}"]`);
      figure.dataset.count = String(value ?? "");
      figure.textContent = value === null || value === undefined ? "–" : count(value, words);
    }
    find(".road").dataset.network = scene.network;
    put(
      find('[data-testid="road-words"]'),
      words.roadText(scene.network === "cut", scene.lane.up, reports),
    );
    const page = /** @type {HTMLAnchorElement} */ (find('[data-testid="status-page"]'));
    put(
      find('[data-testid="reader-kind"]'),
      words.readerKinds[/** @type {"pn532"} */ (scene.reader_kind)],
    );
    page.hidden = !scene.status_page;
    if (scene.status_page) page.href = scene.status_page;
    for (const card of scene.tray) this.card(card, words);
    const { card } = scene.followed;
    const title = card && words.cards[/** @type {"matched"} */ (card.name)][0];
    put(
      find('[data-testid="followed"]'),
      card ? words.followed(title, words.took(card.took_ms), card.list_version) : words.suspendHint,
    );
    this.tick(scene, words, now);
  }

  /** @param {any} card @param {Words} words */
  card(card, words) {
    if (!CARDS.includes(card.name)) return;
    const title = words.cards[/** @type {"matched"} */ (card.name)][0];
    const button = this.button(card.name);
    const verb = card.suspended ? "reinstate" : "suspend";
    button.dataset.verb = verb;
    button.dataset.testid = `${verb}-${card.name}`;
    button.disabled = Boolean(card.asked);
    button.setAttribute("aria-pressed", String(card.suspended));
    put(/** @type {HTMLElement} */ (button.querySelector("b")), title);
  }

  /**
   * @param {any} scene
   * @param {Words} words
   * @param {number} now
   */
  tick(scene, words, now) {
    for (const card of scene.tray) {
      if (CARDS.includes(card.name))
        put(
          /** @type {HTMLElement} */ (this.button(card.name).querySelector("small")),
          this.state(card, words, now),
        );
    }
    const list = scene.list;
    const shown = find('[data-testid="list-version"]');
    shown.dataset.version = String(list.version ?? "");
    shown.dataset.state = list.state ?? "";
    put(
      find(".list-name"),
      list.version
        ? words.list(count(list.version, words))
        : scene.lane.up
          ? words.noList
          : words.noLane,
    );
    const isKnown = list.version && list.issued_unix_s !== null;
    const state = /** @type {any} */ (words.listStates)[list.state] ?? list.state;
    const age = words.seconds(Math.max(Math.floor(now - (list.issued_unix_s ?? now)), 0));
    put(
      find(".list-facts"),
      isKnown ? words.listFacts(state, age, count(list.cards ?? 0, words)) : "",
    );
  }

  /** @param {any} card @param {Words} words @param {number} now */
  state(card, words, now) {
    if (card.asked) return words.asked[/** @type {"suspend"} */ (card.asked)];
    if (!card.suspended) return words.suspend;
    const left = card.ends_unix_s === null ? 0 : card.ends_unix_s - now;
    return left > 0 ? clock(left) : words.suspended;
  }

  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.list.querySelector(`[data-suspends="${name}"]`));
  }

  /** @param {string} name @param {(verb: object) => void} send */
  item(name, send) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.dataset.suspends = name;
    button.dataset.card = name;
    button.disabled = true;
    button.addEventListener("click", () => send({ verb: button.dataset.verb, card: name }));
    button.append(document.createElement("b"), document.createElement("small"));
    item.append(button);
    return item;
  }
}

/** @param {HTMLElement} part @param {string} text */
function put(part, text) {
  if (part.textContent !== text) part.textContent = text;
}
