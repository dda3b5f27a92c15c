// Coordinates as people write them. rides/forms.py reads the same.

const ONE = String.raw`[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?`;
const POINTED = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)`;
const MARK = "(?: ?°)?(?: ?[NSEW])?";
const DEGREES = new RegExp(`^(${ONE})(?: ?°)?(?: ?([NSEW]))?$`);
const PAIR = new RegExp(`^(?:(${ONE}${MARK}) ?; ?(${ONE}${MARK})|(${ONE}${MARK}),? (${ONE}${MARK})|(${POINTED}${MARK}),(${POINTED}${MARK}))$`);

const plain = (text) => text.replaceAll("−", "-").replace(/\s+/g, " ").trim();

/** Read "47.6", "47,6", "−122.3" or "122.3° W"; NaN where it is no number. `directions` is "SN" or "WE". */
export function degrees(text, directions) {
  const [, written, direction] = plain(text).match(DEGREES) ?? [];
  if (!written || (direction && (!directions.includes(direction) || /^[+-]/.test(written)))) return NaN;
  return Number(written.replace(",", ".")) * (direction === directions[0] ? -1 : 1);
}

/** Split "47.6, -122.3"; null for a single number, such as "47,6". */
export function pair(text) {
  const both = plain(text).replace(/^[()]+|[()]+$/g, "").trim();
  const found = DEGREES.test(both) ? null : both.match(PAIR);
  return found && found.slice(1).filter((one) => one !== undefined);
}
