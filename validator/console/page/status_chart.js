// @ts-check
/** The chart of a day: percentiles of the wait, a slot of five minutes each, on a logarithmic scale. A slot without a tap is a gap in the line. */

import { duration } from "/static/status_words.js";

const SVG = "http://www.w3.org/2000/svg";
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 592, 10, 138];
const DAY_S = 86_400;
const PERCENTS = ["p50", "p99", "p999"];
const NAMES = { p50: "p50", p99: "p99", p999: "p99.9" };

/**
 * @param {SVGElement} svg
 * @param {any[]} slots of one lane, oldest first
 * @param {number} now Unix seconds, by the lane's clock
 * @param {import("/static/status_words.js").Words} words
 */
export function chart(svg, slots, now, words) {
  const known = slots.filter((slot) => slot.count > 0);
  const newest = known.at(-1);
  svg.setAttribute("aria-label", newest ? words.chart(duration(newest.told_us.p50, words), duration(newest.told_us.p99, words)) : words.emptyChart);
  const values = known.flatMap((slot) => PERCENTS.map((percent) => Math.max(slot.told_us[percent], 1)));
  const low = Math.floor(Math.log10(Math.min(...values, 100)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values, 10_000))), low + 1);
  const x = (/** @type {number} */ unixS) => RIGHT - ((now - unixS) / DAY_S) * (RIGHT - LEFT);
  const y = (/** @type {number} */ us) => BOTTOM - ((Math.log10(Math.max(us, 1)) - low) / (high - low)) * (BOTTOM - TOP);
  const parts = [];
  for (let power = low; power <= high; power += 1) {
    parts.push(element("path", { class: "grid", d: `M${LEFT} ${y(10 ** power)}H${RIGHT}` }));
    parts.push(text(LEFT - 8, y(10 ** power) + 4, "end", short(10 ** power, words)));
  }
  for (const hours of [24, 18, 12, 6, 0]) {
    const at = x(now - hours * 3_600);
    parts.push(text(at, BOTTOM + 24, hours === 0 ? "end" : hours === 24 ? "start" : "middle", hours ? words.hoursAgo(hours) : words.now));
  }
  for (const percent of PERCENTS) {
    const d = runs(known).map((run) => run.map((slot, index) => `${index ? "L" : "M"}${x(slot.unix_s).toFixed(1)} ${y(slot.told_us[percent]).toFixed(1)}`).join("") + (run.length === 1 ? "h.01" : ""));
    parts.push(element("path", { class: "line", "data-percent": percent, d: d.join("") }));
  }
  if (!newest) parts.push(text((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, "middle", words.emptyChart));
  svg.replaceChildren(...parts);
}

/** @param {HTMLElement} list */
export function legend(list) {
  if (list.children.length) return;
  for (const percent of PERCENTS) {
    const item = document.createElement("li");
    const sample = element("svg", { viewBox: "0 0 34 8", "aria-hidden": "true" }, [element("path", { class: "line", "data-percent": percent, d: "M1 4h32" })]);
    item.append(sample, NAMES[/** @type {"p50"} */ (percent)]);
    list.append(item);
  }
}

/** Slots that follow each other. @param {any[]} slots @returns {any[][]} */
function runs(slots) {
  /** @type {any[][]} */
  const found = [];
  for (const slot of slots) {
    const run = found.at(-1);
    const before = run?.at(-1);
    if (run && before && slot.unix_s - before.unix_s <= 600) run.push(slot);
    else found.push([slot]);
  }
  return found;
}

/** @param {number} us @param {import("/static/status_words.js").Words} words */
function short(us, words) {
  return us < 1_000 ? `${us} µs` : us < 1_000_000 ? `${us / 1_000} ms` : `${us / 1_000_000} ${words.units.s}`;
}

/** @param {number} x @param {number} y @param {string} anchor @param {string} words */
function text(x, y, anchor, words) {
  const made = element("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {Element[]} children */
function element(name, attributes, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}
