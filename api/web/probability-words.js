/* The match probability in words. */

/* Minimum probability of a match. On the 1,000 photographs of Flickr8k's validation split (`benchmarks/quality.py`), the best
   hit is above 0.05 for 97 % of 5,000 captions, and above 0.15 for 94 % of 205 nouns that the photographs show and for 30 % of
   46 short queries for what they do not. Missing a true match is the worse error. */
const MATCH = 0.05;
const SHORT_MATCH = 0.15;
const SHORT = 2; // words, without articles
const ARTICLES = new Set(["a", "an", "the"]);

const WORDS = [
  [0.8, "Very likely"],
  [0.5, "Likely"],
  [MATCH, "Maybe"],
  [0, "Unlikely"],
];

/** The explanation shown beside the number. */
export const MEANING = "The probability that these words describe this picture.";

/** Whether all probabilities of hits are too low for a match of a text; false if there are none, or of another kind. */
export function isNoMatch(text, hits) {
  const words = text.split(/\s+/).filter((word) => word && !ARTICLES.has(word.toLowerCase()));
  const least = words.length > SHORT ? MATCH : SHORT_MATCH;
  const judged = hits.filter((hit) => hit.describes && hit.match_probability !== null);
  return judged.length > 0 && judged.every((hit) => hit.match_probability < least);
}

/** Whether a picture probably does not show what a word says by itself; null is the probability of a word such as "the".
    The threshold is that of `ABSENT` in `search/explain.py`. */
export function isAbsent(probability) {
  return probability !== null && probability < 0.02;
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
