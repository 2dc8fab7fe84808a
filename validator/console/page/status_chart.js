// @ts-check
/**
 * The chart of a day: percentiles of the wait on a logarithmic scale. It begins at the console's
 * first data, so that the first minutes fill it. In the first hour a slot is half a minute, later
 * five. A slot without a tap is a gap in the line. One unit of the drawing is one pixel, so that
 * letters are as large on a phone as on a desktop.
 */

import { duration } from "/static/status_words.js";

const SVG = "http://www.w3.org/2000/svg";
const [LEFT, TOP, BOTTOM, HEIGHT] = [58, 10, 138, 170];
const EDGE = 8;
const DAY_S = 86_400;
const HOUR_S = 3_600;
const SPAN_S_MIN = 60; // a shorter axis would be useless
/** Seconds between two marks of the axis. */
const STEPS_S = [30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600];
const MARK_PX = 84; // room for a mark's words
const DASH_PX = 10; // a slot between two empty ones: a point would be invisible
const PERCENTS = ["p50", "p99", "p999"];
const NAMES = { p50: "p50", p99: "p99", p999: "p99.9" };

/**
 * What to draw of a lane: its slots, how long each is, and how many seconds back the axis goes.
 * @param {any} day as /day has it
 * @param {any} lane
 * @param {number} now Unix seconds, by the lane's clock
 */
export function spanOf(day, lane, now) {
  const ofLane = (/** @type {any} */ told) =>
    told.slots.filter((/** @type {any} */ slot) => slot.lane === lane);
  const slots = ofLane(day);
  const isYoung = slots.every((/** @type {any} */ slot) => slot.unix_s + day.step_s > now - HOUR_S);
  const shown = isYoung
    ? { slots: ofLane(day.hour), step_s: day.hour.step_s }
    : { slots, step_s: day.step_s };
  const begun = shown.slots[0]?.unix_s ?? now;
  return { ...shown, span_s: Math.min(Math.max(now - begun, SPAN_S_MIN), DAY_S) };
}

/**
 * @param {SVGElement} svg
 * @param {{slots: any[], step_s: number, span_s: number}} shown of one lane, oldest first
 * @param {number} now Unix seconds, by the lane's clock
 * @param {import("/static/status_words.js").Words} words
 */
export function chart(svg, { slots, step_s, span_s }, now, words) {
  const width = Math.max(Math.floor(svg.getBoundingClientRect().width), 240);
  const right = width - EDGE;
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const known = slots.filter((slot) => slot.count > 0);
  const newest = known.at(-1);
  svg.setAttribute(
    "aria-label",
    newest
      ? words.chart(duration(newest.told_us.p50, words), duration(newest.told_us.p99, words))
      : words.emptyChart,
  );
  const { low, high } = powers(known);
  const x = (/** @type {number} */ unixS) =>
    right - (Math.min(Math.max(now - unixS, 0), span_s) / span_s) * (right - LEFT);
  const y = (/** @type {number} */ us) =>
    BOTTOM - ((Math.log10(Math.max(us, 1)) - low) / (high - low)) * (BOTTOM - TOP);
  const parts = [];
  for (let power = low; power <= high; power += 1) {
    parts.push(element("path", { class: "grid", d: `M${LEFT} ${y(10 ** power)}H${right}` }));
    parts.push(text(LEFT - 8, y(10 ** power) + 4, "end", short(10 ** power, words)));
  }
  for (const ago of marks(span_s, right - LEFT)) {
    parts.push(element("path", { class: "grid", d: `M${x(now - ago)} ${BOTTOM}v5` }));
    parts.push(
      text(
        x(now - ago),
        BOTTOM + 24,
        ago ? "middle" : "end",
        ago ? words.since(mark(ago, words)) : words.now,
      ),
    );
  }
  for (const percent of PERCENTS) {
    const point = (/** @type {any} */ slot) =>
      [x(Math.min(slot.unix_s + step_s / 2, now)), y(slot.told_us[percent])]
        .map((place) => place.toFixed(1))
        .join(" ");
    const d = runs(known, step_s).map(
      (run) => `M${run.map(point).join("L")}${run.length === 1 ? `h-${DASH_PX}` : ""}`,
    );
    parts.push(element("path", { class: "line", "data-percent": percent, d: d.join("") }));
  }
  if (!newest) parts.push(text((LEFT + right) / 2, (TOP + BOTTOM) / 2, "middle", words.emptyChart));
  svg.replaceChildren(...parts);
}

/**
 * The powers of ten in µs that bound all percentiles, 100 µs and 10 ms at least.
 * @param {any[]} known slots with taps
 */
function powers(known) {
  const values = known.flatMap((slot) =>
    PERCENTS.map((percent) => Math.max(slot.told_us[percent], 1)),
  );
  const low = Math.floor(Math.log10(Math.min(...values, 100)));
  return { low, high: Math.max(Math.ceil(Math.log10(Math.max(...values, 10_000))), low + 1) };
}

/**
 * A whole number of one unit.
 * @param {number} s
 * @param {import("/static/status_words.js").Words} words
 */
function mark(s, words) {
  const { h, min, s: sec } = words.units;
  return s % 60 ? `${s} ${sec}` : s % HOUR_S ? `${s / 60} ${min}` : `${s / HOUR_S} ${h}`;
}

/**
 * Where the axis has a word, in seconds ago: now, and as many more as have room.
 * @param {number} spanS
 * @param {number} widthPx
 */
function marks(spanS, widthPx) {
  const step = STEPS_S.find((each) => (each / spanS) * widthPx >= MARK_PX) ?? DAY_S;
  const found = [];
  // The outermost word is centred on its mark: it must not stick out to the left.
  for (let ago = 0; ago <= spanS; ago += step)
    if (!ago || LEFT + widthPx * (1 - ago / spanS) >= MARK_PX / 2) found.push(ago);
  return found;
}

/** @param {HTMLElement} list */
export function legend(list) {
  if (list.children.length) return;
  for (const percent of PERCENTS) {
    const item = document.createElement("li");
    const sample = element("svg", { viewBox: "0 0 34 8", "aria-hidden": "true" }, [
      element("path", { class: "line", "data-percent": percent, d: "M1 4h32" }),
    ]);
    item.append(sample, NAMES[/** @type {"p50"} */ (percent)]);
    list.append(item);
  }
}

/** Slots that follow each other. @param {any[]} slots @param {number} stepS @returns {any[][]} */
function runs(slots, stepS) {
  /** @type {any[][]} */
  const found = [];
  for (const slot of slots) {
    const run = found.at(-1);
    const before = run?.at(-1);
    if (run && before && slot.unix_s - before.unix_s <= 2 * stepS) run.push(slot);
    else found.push([slot]);
  }
  return found;
}

/** @param {number} us @param {import("/static/status_words.js").Words} words */
function short(us, words) {
  return us < 1_000
    ? `${us} µs`
    : us < 1_000_000
      ? `${us / 1_000} ms`
      : `${us / 1_000_000} ${words.units.s}`;
}

/** @param {number} x @param {number} y @param {string} anchor @param {string} words */
function text(x, y, anchor, words) {
  const made = element("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {Element[]} children
 */
function element(name, attributes, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}
