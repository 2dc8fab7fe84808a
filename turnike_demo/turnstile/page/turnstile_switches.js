// @ts-check
/** The switches: the question, the state and the measured result of each, from the scene alone. */

import { day } from "/static/turnstile_words.js";

/** @typedef {import("/static/turnstile_words.js").Words} Words */

/**
 * Each switch: its test id, its state, and the verb that it sends.
 * @type {Record<string, {
 *   test: string, on: (scene: any) => boolean, verb: (on: boolean) => object
 * }>}
 */
const SWITCHES = {
  network: {
    test: "network",
    on: (scene) => scene.network === "up",
    verb: (on) => ({ verb: "network", up: !on }),
  },
  plug: {
    test: "plug",
    on: (scene) => scene.lane.plug !== "pulled",
    verb: (on) => ({ verb: "plug", in: !on }),
  },
  reader: {
    test: "reader-plug",
    on: (scene) => scene.reader.plugged,
    verb: (on) => ({ verb: "reader", plugged: !on }),
  },
  cutOff: {
    test: "cut-off",
    on: (scene) => scene.cut_off.in_force,
    verb: (on) => ({ verb: "cut_off", in_force: !on }),
  },
  emergency: {
    test: "emergency",
    on: (scene) => !scene.board.emergency,
    verb: (on) => ({ verb: "emergency", on }),
  },
  push: { test: "push", on: () => true, verb: () => ({ verb: "push" }) },
};

/**
 * The result of a switch: a key that changes with each new result, and the sentence for it.
 * @param {string} name
 * @param {any} scene
 * @param {Words} words
 * @param {number} now
 * @returns {[string, string]}
 */
function result(name, scene, words, now) {
  const { cut, pull, lost, forced } = scene.facts;
  const { board } = scene;
  const age = (/** @type {number} */ since) => words.seconds(Math.max(Math.floor(now - since), 0));
  switch (name) {
    case "network":
      if (!cut) return ["", ""];
      if (scene.network === "up")
        return ["restored", words.came.restored(cut.waited, scene.reports)];
      return [
        `cut ${cut.since_unix_s}`,
        words.came.cut(age(cut.since_unix_s), cut.decided, scene.reports.waiting),
      ];
    case "plug":
      if (!pull) return ["", ""];
      if (scene.lane.plug === "pulled") return ["pulled", words.came.pulled(pull.on_disk)];
      return pull.took_ms === null
        ? ["starting", words.came.starting]
        : ["back", words.came.plugged(pull)];
    case "reader":
      if (!lost) return ["", ""];
      if (lost.took_ms !== null) return ["found", words.came.found(words.took(lost.took_ms))];
      if (scene.reader.plugged) return ["plugged", words.came.pluggedReader];
      return [
        "lost",
        words.came.lost(age(lost.since_unix_s), board.shows === "out_of_service", lost.city_knows),
      ];
    case "cutOff":
      return resultOfCutOff(scene, words);
    case "emergency":
      if (board.emergency) return ["free", words.came.freed(board.arms, board.walked_since)];
      return board.emergencies ? ["calm", words.came.calm(board.arms)] : ["", ""];
    default:
      if (board.pushed === "through")
        return [`through ${board.passed + board.walked_free}`, words.came.passed];
      return forced.count
        ? [`forced ${forced.count}`, words.came.forced(forced.count, forced.noticed)]
        : ["", ""];
  }
}

/** @param {any} scene @param {Words} words @returns {[string, string]} */
function resultOfCutOff(scene, words) {
  const followed = scene.followed.cut_off;
  if (scene.cut_off.asked === null)
    return followed
      ? ["followed", words.came.moved(words.took(followed.took_ms), followed.list_version)]
      : ["", ""];
  if (!followed) return ["asked", words.came.asked];
  return [
    "signed",
    words.came.signed(followed.list_version, scene.list.version, scene.network === "cut"),
  ];
}

export class Switches {
  /** @param {(verb: object) => void} send */
  constructor(send) {
    this.list = /** @type {HTMLElement} */ (document.querySelector(".promises ul"));
    /** @type {any} */
    this.scene = null;
    /** @type {Record<string, string>} */
    this.announced = {};
    for (const [name, { test, on, verb }] of Object.entries(SWITCHES)) {
      const item = document.createElement("li");
      item.dataset.switch = name;
      const [title, question, came, live] = [
        document.createElement("h3"),
        document.createElement("p"),
        document.createElement("p"),
        document.createElement("p"),
      ];
      const button = document.createElement("button");
      question.className = "says";
      came.className = "came";
      came.dataset.testid = `${test}-came`;
      live.className = "heard";
      // For screen readers, written once a result; the visible text counts seconds.
      live.setAttribute("role", "status");
      button.type = "button";
      button.className = "quiet";
      button.dataset.testid = test;
      button.disabled = true;
      button.addEventListener("click", () => this.scene && send(verb(on(this.scene))));
      item.append(title, button, question, came, live);
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
    if (!before)
      this.announced = Object.fromEntries(
        Object.keys(SWITCHES).map((name) => [name, result(name, scene, words, now)[0]]),
      );
    for (const [name, { on }] of Object.entries(SWITCHES)) {
      const isOn = on(scene);
      const title = this.part(name, "h3");
      const is = this.state(name, scene, words, isOn);
      title.textContent = words.names[/** @type {"network"} */ (name)];
      if (is) {
        const state = document.createElement("span");
        state.textContent = ` · ${is}`;
        title.append(state);
      }
      const button = /** @type {HTMLButtonElement} */ (this.part(name, "button"));
      button.textContent = words.does[/** @type {"network"} */ (name)](isOn);
      button.dataset.on = String(isOn);
      button.disabled =
        (name === "plug" && scene.lane.plug === "starting") ||
        (name === "cutOff" && scene.cut_off.asked !== null);
    }
    this.tick(scene, words, now);
  }

  /** @param {any} scene @param {Words} words @param {number} now */
  tick(scene, words, now) {
    for (const name of Object.keys(SWITCHES)) {
      const [key, text] = result(name, scene, words, now);
      const shown = this.part(name, ".came");
      if (shown.textContent !== text) shown.textContent = text;
      /** @type {HTMLElement} */ (shown.parentElement).dataset.came = String(Boolean(text));
      if (this.announced[name] === key) continue;
      this.announced[name] = key;
      const [, begins] =
        name === "network" && scene.network === "cut"
          ? result(name, scene, words, scene.facts.cut.since_unix_s)
          : [key, text];
      this.part(name, ".heard").textContent = begins;
    }
  }

  /** @param {string} name @param {any} scene @param {Words} words @param {boolean} on */
  state(name, scene, words, on) {
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

  /** @param {string} name @param {string} selector */
  part(name, selector) {
    return /** @type {HTMLElement} */ (
      this.list.querySelector(`[data-switch="${name}"] ${selector}`)
    );
  }
}
