"""The fonts of the themes: in which files they are, and which of these a text needs."""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from pathlib import Path

from fontTools.ttLib import TTFont

FILES = {path.stem: path for path in (Path(__file__).parent.parent / "portal/static/vendor/fonts").glob("*.woff*")}
_FAMILIES = {"Source Serif 4": "source-serif-4", "Source Sans 3": "source-sans-3", "Source Code Pro": "source-code-pro"}
# A font comes in files for some scripts each. Those are taken whose letters are in the text, and "latin".
_SCRIPTS = {
    "latin-ext": re.compile(
        r"[\u0100-\u0130\u0132-\u0151\u0154-\u02ba\u02bd-\u02c5\u02c7-\u02d9\u02dd-\u02ff\u1d00-\u1dbf\u1e00-\u1e9f"
        r"\u1ef2-\u1eff\u2020\u20a0-\u20ab\u20ad-\u20c4\u2113\u2c60-\u2c7f\ua720-\ua7ff]"
    ),
    "vietnamese": re.compile(r"[\u1ea0-\u1ef1]"),
    "greek": re.compile(r"[\u0370-\u03ff]"),
    "greek-ext": re.compile(r"[\u1f00-\u1fff]"),
    "cyrillic": re.compile(r"[\u0400-\u045f\u0490-\u0491\u04b0-\u04b1\u2116]"),
    "cyrillic-ext": re.compile(r"[\u0460-\u052f\u1c80-\u1c8a\u20b4\u2de0-\u2dff\ua640-\ua69f\ufe2e-\ufe2f]"),
}


def with_fonts(sheet: str, text: str) -> str:
    """Return a style sheet with the fonts that it names, in the scripts of the text: a font's address is `theme:` and
    the name of its file."""
    scripts = ["latin", *(script for script, letters in _SCRIPTS.items() if letters.search(text))]
    faces = []
    for family, slug in _FAMILIES.items():
        names = []
        for script in scripts if f'"{family}"' in sheet else ():
            # WeasyPrint takes files of one name for one font, and then prints letters of one script for another's.
            names.append(name := f'"{family} {script}"')
            own = slug if f"{slug}-{script}-400-normal" in FILES else _FAMILIES["Source Sans 3"]
            for style in ("normal", "italic"):
                for weight in (400, 700):
                    file = f"{own}-{script}-{weight}-{style}"
                    about = f"font-family: {name}; font-style: {style}; font-weight: {weight}"
                    if file in FILES:
                        faces.append(f"@font-face {{ {about}; src: url(theme:{file}) }}")
        sheet = sheet.replace(f'"{family}"', ", ".join(names))
    return "".join(faces) + sheet


@cache
def unpacked(name: str) -> bytes:
    """Return a font as it is embedded. WeasyPrint would unpack it for each document, and write the time into it."""
    font = TTFont(FILES[name], recalcBBoxes=False, recalcTimestamp=False)
    font.flavor = font.flavorData = None
    file = BytesIO()
    font.save(file, reorderTables=None)
    return file.getvalue()
