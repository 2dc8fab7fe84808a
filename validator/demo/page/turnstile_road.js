// @ts-check
/** What goes between gate and city: the list that came, its age, and the reports on their way. */

import { count } from "/static/turnstile_words.js";

/** @param {string} selector */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));

export class Road {
  speak() {}

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
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
    const missing = reports.city_missing ? words.missing(count(reports.city_missing, words)) : "";
    find('[data-testid="road-words"]').textContent = missing || (scene.network === "cut" ? words.roadCut : words.roadUp(reports.waiting ?? 0));
    const page = /** @type {HTMLAnchorElement} */ (find('[data-testid="status-page"]'));
    page.hidden = !scene.status_page;
    if (scene.status_page) page.href = scene.status_page;
    this.tick(scene, words, now);
  }

  /**
   * @param {any} scene
   * @param {import("/static/turnstile_words.js").Words} words
   * @param {number} now
   */
  tick(scene, words, now) {
    const list = scene.list ?? {};
    find('[data-testid="list-version"]').dataset.version = String(list.version ?? "");
    find('[data-testid="list-version"]').dataset.state = list.state ?? "";
    find(".list-name").textContent = list.version ? words.list(count(list.version, words)) : words.noList;
    if (!list.version) {
      find(".list-facts").textContent = "";
      return;
    }
    const age = Math.max(Math.round(now - list.issued_unix_s), 0);
    const state = /** @type {any} */ (words.listStates)[list.state] ?? list.state;
    find(".list-facts").textContent = words.listFacts(state, words.seconds(age), count(list.cards ?? 0, words));
  }
}
