"""The service model's patterns, which are Java's: \\w is ASCII, and \\p{L} a letter of any script."""

import functools
import re
import unicodedata

# Of a category of Unicode the ASCII characters, as they stand in brackets, and one that stands for all others.
_CLASSES = {
    "L": "A-Za-z\ue000",
    "M": "\ue001",
    "N": "0-9\ue002",
    "P": "!-#%-*,-/:;?@[-\\]_{}\ue003",
    "S": "$+<->^`|~\ue004",
    "Z": " \ue005",
}


def matches(pattern: str, value: str) -> bool:
    """Return whether the whole value is of the pattern."""
    return _compiled(pattern).fullmatch("".join(map(_plain, value))) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for category, characters in _CLASSES.items():
        pattern = pattern.replace(f"\\p{{{category}}}", characters)
    return re.compile(pattern, re.ASCII)


def _plain(character: str) -> str:
    if character.isascii():
        return character
    return _CLASSES.get(unicodedata.category(character)[0], "\uffff")[-1]
