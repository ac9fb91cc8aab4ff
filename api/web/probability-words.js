/* The match probability in words. */

/**
 * Minimum probability of a match.
 *
 * On the 1,000 photographs of Flickr8k's validation split, the first hit is above it for 98 % of 400 captions, and below
 * it for 85 % of 33 things that no photograph shows (see `benchmarks/quality.py`). At 0.05 both are 94 %, but missing a
 * true match is the worse error.
 */
const MATCH = 0.03;

/* The probability is that of a sentence having been written for this very picture. Most sentences fit many pictures, so it
   is low: half of those captions give their own picture less than 0.15, and none of the 33 things reaches 0.2. */
const WORDS = [
  [0.3, "Very likely"],
  [0.1, "Likely"],
  [MATCH, "Maybe"],
  [0, "Unlikely"],
];

/** The explanation shown beside the number. */
export const MEANING =
  "The probability that these words describe this picture in particular. Most descriptions fit many pictures, so it is usually low.";

/* One or two words fit so many pictures that their probability says little: no threshold separates 246 nouns that those
   photographs show from the 33 that they do not. */
const MIN_WORDS = 3;
const ARTICLES = new Set(["a", "an", "the"]);

/** Whether the highest probability among the hits is too low for any to count as a match for these words. */
export function isNoMatch(words, probability) {
  const count = words.split(/\s+/).filter((word) => word && !ARTICLES.has(word.toLowerCase())).length;
  return count >= MIN_WORDS && probability < MATCH;
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
