// @ts-check
/** Figures that sentences in every language are made of. */

/** The reports of this turnstile, as the page has them: null where nobody has said. @typedef {{ waiting: number | null, delivered: number, city_received: number | null, city_missing: number | null }} Reports */

/** How many reports are on the way: those that wait, and those that are delivered and not counted by the city yet. @param {Reports} reports */
export function left({ waiting, delivered, city_received }) {
  return (waiting ?? 0) + Math.max(delivered - (city_received ?? 0), 0);
}

/** @param {number} value @param {string} locale */
export function tenths(value, locale) {
  return value.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
