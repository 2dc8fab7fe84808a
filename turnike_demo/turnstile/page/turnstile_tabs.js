// @ts-check
/** Buttons that show one part at a time, on screens without room for all. */

const TABS = /** @type {const} */ (["inside", "taps", "city", "promises"]);

export class Tabs {
  constructor() {
    this.main = /** @type {HTMLElement} */ (document.querySelector("main"));
    this.buttons = TABS.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.dataset.testid = `tab-${name}`;
      button.addEventListener("click", () => this.open(name));
      return button;
    });
    document.querySelector(".tabs")?.replaceChildren(...this.buttons);
    this.open("inside");
  }

  /** @param {string} name */
  open(name) {
    this.main.dataset.tab = name;
    this.buttons.forEach((button, number) =>
      button.setAttribute("aria-pressed", String(TABS[number] === name)),
    );
  }

  /** @param {import("/static/turnstile_words.js").Words} words */
  speak(words) {
    this.buttons.forEach((button, number) => (button.textContent = words.tabs[TABS[number]]));
  }

  show() {}
}
