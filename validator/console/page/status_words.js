// @ts-check
/**
 * The words of the status page in both languages, and how it writes durations, sizes and numbers.
 * Nothing here knows the page.
 */

import { EN } from "/static/status_words_en.js";
import { TR } from "/static/status_words_tr.js";

/** @typedef {"tr" | "en"} Language */
/** @typedef {typeof EN} Words */

/** @type {Record<Language, Words>} */
export const WORDS = { en: EN, tr: TR };

/** A duration in µs: 940 µs, 8.7 ms, 1.2 s. @param {number} us @param {Words} words */
export function duration(us, words) {
  const [value, unit] =
    us < 1_000 ? [us, "µs"] : us < 1_000_000 ? [us / 1_000, "ms"] : [us / 1_000_000, words.units.s];
  const digits = unit !== "µs" && value < 100 ? 1 : 0;
  const written = value.toLocaleString(words.locale, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${written} ${unit}`;
}

/**
 * A time in seconds: 42 s, 3 min 7 s, 2 h 5 min, 4 d 3 h.
 * @param {number} s
 * @param {Words} words
 */
export function time(s, words) {
  const { d, h, min, s: sec } = words.units;
  const whole = Math.max(Math.round(s), 0);
  if (whole < 60) return `${whole} ${sec}`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} ${min} ${whole % 60} ${sec}`;
  if (whole < 86_400)
    return `${Math.floor(whole / 3_600)} ${h} ${Math.floor((whole % 3_600) / 60)} ${min}`;
  return `${Math.floor(whole / 86_400)} ${d} ${Math.floor((whole % 86_400) / 3_600)} ${h}`;
}

/** @param {number} bytes @param {Words} words */
export function size(bytes, words) {
  const gib = bytes / 2 ** 30;
  const [value, unit] = gib >= 1 ? [gib, "GiB"] : [bytes / 2 ** 20, "MiB"];
  return `${value.toLocaleString(words.locale, { maximumFractionDigits: 1 })} ${unit}`;
}

/** @param {number} n @param {Words} words */
export function count(n, words) {
  return n.toLocaleString(words.locale);
}
