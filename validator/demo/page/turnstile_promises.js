// @ts-check
/** The switches that put the promises to the test: what each shows, how it stands, and what came of it. What came of it is told from scenes alone. */

import { day } from "/static/turnstile_words.js";

/** @typedef {import("/static/turnstile_words.js").Words} Words */

/** Each switch: its test id, how it stands, what it sends. @type {Record<string, { test: string, on: (scene: any) => boolean, verb: (on: boolean) => object }>} */
const SWITCHES = {
  network: { test: "network", on: (scene) => scene.network === "up", verb: (on) => ({ verb: "network", up: !on }) },
  plug: { test: "plug", on: (scene) => scene.lane.plug !== "pulled", verb: (on) => ({ verb: "plug", in: !on }) },
  reader: { test: "reader-plug", on: (scene) => scene.reader.plugged, verb: (on) => ({ verb: "reader", plugged: !on }) },
  cutOff: { test: "cut-off", on: (scene) => scene.cut_off.in_force, verb: (on) => ({ verb: "cut_off", in_force: !on }) },
  emergency: { test: "emergency", on: (scene) => !scene.board.emergency, verb: (on) => ({ verb: "emergency", on }) },
  push: { test: "push", on: () => true, verb: () => ({ verb: "push" }) },
};

export class Promises {
  /** @param {(verb: object) => void} send */
  constructor(send) {
    this.list = /** @type {HTMLElement} */ (document.querySelector(".promises ul"));
    /** @type {Record<string, (scene: any, words: Words, now: number) => string>} */
    this.came = {};
    /** @type {any} */
    this.scene = null;
    /** @type {Record<string, unknown>} */
    this.announced = {};
    this.cutTaps = this.cutS = this.pulledS = this.pulledWaiting = this.lostS = 0;
    for (const [name, { test, on, verb }] of Object.entries(SWITCHES)) {
      const item = document.createElement("li");
      item.dataset.switch = name;
      const [title, says, came, live] = [document.createElement("h3"), document.createElement("p"), document.createElement("p"), document.createElement("p")];
      const button = document.createElement("button");
      says.className = "says";
      came.className = "came";
      came.dataset.testid = `${test}-came`;
      live.className = "heard";
      live.setAttribute("role", "status"); // said once; what is seen counts seconds
      button.type = "button";
      button.className = "quiet";
      button.dataset.testid = test;
      button.disabled = true;
      button.addEventListener("click", () => this.scene && send(verb(on(this.scene))));
      item.append(title, button, says, came, live);
      this.list.append(item);
    }
  }

  /** @param {Words} words */
  speak(words) {
    for (const name of Object.keys(SWITCHES)) {
      this.part(name, ".says").textContent = words.says[/** @type {"network"} */ (name)];
    }
  }

  /** @param {any} scene @param {Words} words @param {number} now @param {any} before */
  show(scene, words, now, before) {
    this.scene = scene;
    if (before) this.notice(scene, before, now);
    else this.begin(scene);
    for (const [name, { on }] of Object.entries(SWITCHES)) {
      const stands = on(scene);
      const title = this.part(name, "h3");
      const is = this.stands(name, scene, words, stands);
      title.textContent = words.names[/** @type {"network"} */ (name)];
      if (is) {
        const state = document.createElement("span");
        state.textContent = ` · ${is}`;
        title.append(state);
      }
      const button = /** @type {HTMLButtonElement} */ (this.part(name, "button"));
      button.textContent = words.does[/** @type {"network"} */ (name)](stands);
      button.dataset.on = String(stands);
      button.disabled = (name === "plug" && scene.lane.plug === "starting") || (name === "cutOff" && scene.cut_off.asked !== null);
    }
    this.tick(scene, words, now);
  }

  /** @param {any} scene @param {Words} words @param {number} now */
  tick(scene, words, now) {
    for (const name of Object.keys(SWITCHES)) {
      const text = this.came[name]?.(scene, words, now) ?? "";
      const shown = this.part(name, ".came");
      if (shown.textContent !== text) shown.textContent = text;
      if (this.announced[name] !== this.came[name]) this.part(name, ".heard").textContent = text;
      this.announced[name] = this.came[name];
    }
  }

  /** The first scene of a demo: of what was before it nothing is known. @param {any} scene */
  begin(scene) {
    this.came = {};
    this.cutTaps = this.cutS = this.pulledS = this.lostS = 0;
    this.pulledWaiting = scene.lane.plug === "in" ? 0 : (scene.reports.waiting ?? 0);
  }

  /** @param {string} name @param {any} scene @param {Words} words @param {boolean} on */
  stands(name, scene, words, on) {
    switch (name) {
      case "plug":
        return words.is.plug[/** @type {"in"} */ (scene.lane.plug)];
      case "cutOff":
        return words.is.cutOff(on, day(scene.cut_off.unix_s, words));
      case "network":
      case "reader":
        return words.is[name](on);
      case "emergency":
        return words.is.emergency(!on);
      default:
        return "";
    }
  }

  /** What has just happened, and what is to be said of it until something else does. @param {any} scene @param {any} before @param {number} now */
  notice(scene, before, now) {
    const isNew = scene.tap && scene.tap.n !== before.tap?.n;
    if (scene.network === "cut" && isNew) this.cutTaps += 1;
    if (scene.network !== before.network) {
      [this.cutS, this.cutTaps] = [now, 0];
      this.came.network =
        scene.network === "cut"
          ? (at, words, s) => words.came.cut(words.seconds(Math.round(s - this.cutS)), this.cutTaps, at.reports.waiting ?? 0)
          : (at, words) => words.came.mended(at.reports.waiting ?? 0);
    }
    this.noticePlug(scene, before, now);
    if (scene.reader.plugged && scene.lane.reader === "ready" && this.lostS) {
      const took = Math.max(Math.round(now - this.lostS), 0);
      this.lostS = 0;
      this.came.reader = (_, words) => words.came.found(words.seconds(took));
    } else if (!scene.reader.plugged && before.reader.plugged) {
      this.lostS = now;
      this.came.reader = (at, words, s) =>
        words.came.lost(words.seconds(Math.round(s - this.lostS)), at.network === "up" && at.lane.plug === "in");
    }
    if (scene.cut_off.asked !== null) {
      this.came.cutOff = (at, words) => (at.network === "cut" ? words.came.askedCut : words.came.asked);
    } else if (before.cut_off.asked !== null) {
      const version = scene.list?.version ?? "";
      this.came.cutOff = (at, words) => words.came.moved(at.cut_off.in_force, version);
    }
    if (scene.board.emergency !== before.board.emergency) {
      const walked = scene.board.walked_free;
      this.came.emergency = scene.board.emergency ? (at, words) => words.came.freed(at.board.walked_free - walked) : (_, words) => words.came.calm;
    }
    if (scene.board.forced > before.board.forced) this.came.push = (at, words) => words.came.forced(at.board.forced);
    else if (scene.board.walked_free > before.board.walked_free) this.came.push = (_, words) => words.came.passed;
  }

  /** @param {any} scene @param {any} before @param {number} now */
  noticePlug(scene, before, now) {
    if (scene.lane.plug === before.lane.plug) return;
    if (scene.lane.plug === "pulled") {
      this.pulledWaiting = before.reports.waiting ?? 0;
      this.came.plug = (_, words) => words.came.pulled(this.pulledWaiting);
    } else if (scene.lane.plug === "starting") {
      this.pulledS = now;
      this.came.plug = (_, words) => words.came.starting;
    } else if (this.pulledS) {
      const took = Math.max(Math.round(now - this.pulledS), 0);
      this.came.plug = (_, words) => words.came.plugged(words.seconds(took), this.pulledWaiting);
    }
  }

  /** @param {string} name @param {string} selector */
  part(name, selector) {
    return /** @type {HTMLElement} */ (this.list.querySelector(`[data-switch="${name}"] ${selector}`));
  }
}
