/* The match probability in words. */

const WORDS = [
  [0.8, "Very likely"],
  [0.5, "Likely"],
  [0.05, "Maybe"],
  [0, "Unlikely"],
];

/** The explanation shown beside the number. */
export const MEANING = "The probability that these words describe this picture.";

/** "Very likely", "Likely", "Maybe", "Unlikely", of a hit; nothing without such a probability. */
export function likelihood({ describes, noMatch, match_probability }) {
  if (noMatch) return "Unlikely";
  return describes && match_probability !== null ? WORDS.find(([least]) => match_probability >= least)[1] : "";
}

/** "87 %", or "0.4 %" if it is small. */
export function percent(probability) {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}
