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

/** Whether all probabilities of hits are too low for a match; false if there are none, or of another kind. */
export function isNoMatch(hits) {
  const judged = hits.filter((hit) => hit.describes && hit.match_probability !== null);
  return judged.length > 0 && judged.every((hit) => hit.match_probability < MATCH);
}

/** Whether a picture does not show what a word says by itself; null is the probability of a word such as "the". */
export function isAbsent(probability) {
  return probability !== null && probability < MATCH;
}

/** "Very likely", "Likely", "Maybe", "Unlikely", of a hit; nothing without such a probability. */
export function likelihood({ describes, match_probability }) {
  return describes && match_probability !== null ? WORDS.find(([least]) => match_probability >= least)[1] : "";
}

/** "87 %", or "0.4 %" if it is small. */
export function percent(probability) {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}
