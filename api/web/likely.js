/* The match probability in words. */

/* The probability is that of a sentence having been written for just this picture. Many pictures fit a sentence that was
   written for another one, so it is modest: what fits well often has a fifth. */
const WORDS = [
  [0.5, "Very likely"],
  [0.15, "Likely"],
  [0.03, "Maybe"],
  [0, "Unlikely"],
];

/** From this probability on a picture counts as a match. */
export const MATCH = 0.03;

/** "Very likely", "Likely", "Maybe", "Unlikely". */
export function likely(probability) {
  return WORDS.find(([least]) => probability >= least)[1];
}

/** "87 %", and where it is small "0.4 %". */
export function percent(probability) {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}
