/* The match probability in words. */

/**
 * Minimum probability of a match: @MEASURED@
 */
const MATCH = 0.1;

const WORDS = [
  [0.8, "Very likely"],
  [0.5, "Likely"],
  [MATCH, "Maybe"],
  [0, "Unlikely"],
];

/** The explanation shown beside the number. */
export const MEANING = "The probability that these words describe this picture.";

/** Whether the highest probability among the hits is too low for any to count as a match. */
export function isNoMatch(probability) {
  return probability < MATCH;
}

/** Whether a picture does not show what a word says by itself; null is the probability of a word such as "the". */
export function isAbsent(probability) {
  return probability !== null && probability < MATCH;
}

/** "Very likely", "Likely", "Maybe", "Unlikely". */
export function likelihood(probability) {
  return WORDS.find(([least]) => probability >= least)[1];
}

/** "87 %", or "0.4 %" if it is small. */
export function percent(probability) {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}
