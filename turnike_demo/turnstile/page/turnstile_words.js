// @ts-check
/**
 * Every word of the page, in Turkish and English, and how it writes numbers. Nothing here knows the page: words are strings, or functions of numbers.
 *
 * What the turnstile's display says is not here: the board says it. A sentence about the gate is a function of what was measured; everything else asks, or
 * says what a button does. tests/browser/test_turnstile_words.py makes each sentence untrue, and sees it change.
 */

import { EN } from "/static/turnstile_words_en.js";
import { TR } from "/static/turnstile_words_tr.js";

/** @typedef {"tr" | "en"} Language */

/** @typedef {typeof EN} Words */

/** @type {Record<Language, Words>} */
export const WORDS = { en: EN, tr: TR };

/**
 * A duration for a person: 940 µs, 8.7 ms.
 * @param {number} us
 * @param {Words} words
 */
export function duration(us, words) {
  const inMs = us >= 1_000;
  const number = inMs ? us / 1_000 : us;
  const digits = inMs && number < 100 ? 1 : 0;
  return `${number.toLocaleString(words.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${inMs ? "ms" : "µs"}`;
}

/**
 * Whole seconds as 0:42.
 * @param {number} s
 */
export function clock(s) {
  const whole = Math.max(Math.ceil(s), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * @param {number} n
 * @param {Words} words
 */
export function count(n, words) {
  return n.toLocaleString(words.locale);
}

/**
 * The day in İstanbul.
 * @param {number} unixS
 * @param {Words} words
 */
export function day(unixS, words) {
  return new Date(unixS * 1_000).toLocaleDateString(words.locale, { timeZone: "Europe/Istanbul", day: "2-digit", month: "2-digit", year: "numeric" });
}
