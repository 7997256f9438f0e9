"""Text as a search sees it: folded values, and DICOM wildcard patterns over them (PS3.4 C.2.2.2.4).

Folding works character by character, so what is a part of a text is a part of its folded form too: the index
(`grams`) relies on it. Knows nothing of names or of how the index is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

#: Characters of a value that are searchable; a hostile object may carry megabytes in a short text.
MAX_CHARS = 2048

_ROUNDS = 4  # of decomposition and case folding until nothing changes; Unicode needs two


class _FoldTable(dict[int, str]):
    """Code point -> its folded text, filled as characters are met; separators fold to a space."""

    def __missing__(self, codepoint: int) -> str:
        folded = self[codepoint] = _fold_character(chr(codepoint))
        return folded


def _fold_character(character: str) -> str:
    """One character decomposed, without case and combining marks; a space if it separates words."""
    for _ in range(_ROUNDS):
        before, character = character, unicodedata.normalize("NFKD", character).casefold()
        if character == before:
            break
    return "".join(_kept(part) for part in character)


def _kept(character: str) -> str:
    # Marks with a combining class are dropped: Wáng, Wang and Wa\u0301ng are one; vowel signs (class 0) are letters.
    if unicodedata.combining(character):
        return ""
    # Private use stays: GB18030 puts hanzi of rare names there (GB 18030-2022 annex). Lone surrogates go.
    category = unicodedata.category(character)
    return character if category[0] in "LNM" or category in ("Co", "Cn") else " "


_TABLE = _FoldTable()


def fold(text: str) -> str:
    """`text` without case, width, accents and punctuation: words of letters and digits with one space between.

    >>> fold("Wang^Xiao-Dong=王^小东  ＣＴ")
    'wang xiao dong 王 小东 ct'
    """
    return " ".join(text[:MAX_CHARS].translate(_TABLE).split())


@lru_cache(maxsize=4096)
def text_forms(text: str) -> tuple[str, ...]:
    """What a plain attribute (a number, a description) is found by: folded, with and without separators."""
    spaced = fold(text)
    return tuple(dict.fromkeys(form for form in (spaced, spaced.replace(" ", "")) if form))


def fold_pattern(pattern: str) -> str:
    """The pattern over folded text: literals folded, `?` and runs of `*` kept.

    >>> fold_pattern("*Wang^Xiao**")
    '*wang xiao*'
    """
    pieces = re.split(r"(\*+|\?)", pattern[:MAX_CHARS])
    folded = "".join(piece[0] if piece[:1] in ("*", "?") else piece.translate(_TABLE) for piece in pieces if piece)
    return re.sub(r"\*+", "*", " ".join(folded.split())).strip()


def to_regex(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """A compiled expression whose `fullmatch` is the wildcard match of the text as it stands.

    Atomic groups keep the time linear in pattern times text, however many `*` there are.
    """
    first, *others = (_literal(piece) for piece in re.split(r"\*+", pattern))
    if not others:
        source = first
    else:
        *middle, last = others
        source = first + "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}"
    return re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _literal(piece: str) -> str:
    return re.escape(piece).replace(r"\?", ".")


def pattern_to_like(pattern: str) -> str:
    """The pattern for SQL `LIKE ... ESCAPE '\\'`, over the text as it stands."""
    table = {"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"}
    return re.sub(r"[\\%_*?]", lambda found: table[found[0]], pattern)


def pattern_matches(pattern: str, forms: Iterable[str]) -> bool:
    """Whether one of the folded `forms` is what the pattern asks for; without `*` and `?` it asks for equality.

    A pattern of several name groups ("Wang*=王*") also matches if each group matches some form
    (PS3.5 6.2.1: the groups write one name in several scripts).
    """
    forms = tuple(forms)
    if _any_matches(pattern, forms):
        return True
    groups = [group for group in pattern.split("=") if group]
    return len(groups) > 1 and all(_any_matches(group, forms) for group in groups)


def part_of(pattern: str) -> str:
    """The folded text that has to stand anywhere in a form, where the pattern asks for nothing else; else empty.

    >>> part_of("*Xiao-Dong*")
    'xiao dong'
    """
    folded = fold_pattern(pattern)
    part = folded[1:-1]
    plain = folded.startswith("*") and folded.endswith("*") and part == part.strip() and "=" not in pattern
    return part if plain and not {"*", "?"}.intersection(part) else ""


def _any_matches(pattern: str, forms: tuple[str, ...]) -> bool:
    expressions = _folded_expressions(pattern)
    return any(expression.fullmatch(form) for expression in expressions for form in forms)


@lru_cache(maxsize=1024)
def _folded_expressions(pattern: str) -> tuple[re.Pattern[str], ...]:
    folded = fold_pattern(pattern)
    wanted = [folded]
    # "Wang^*" finds "Wang" as well: an empty component may be left out (PS3.5 6.2, PN).
    if folded.endswith(" *"):
        wanted.append(folded[:-2])
    if folded.startswith("* "):
        wanted.append(folded[2:])
    return tuple(to_regex(one) for one in wanted)
