"""Index tokens of searchable text, and the tokens that a wildcard pattern requires.

A record matches a pattern only if it has all the pattern's grams; whether it does is then checked on the text
(`text.pattern_matches`). Why not a database's own trigrams: docs/decisions/0005-search-grams.md.
Tokens are [a-z0-9] only, so that any tokenizer and any array type keeps them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from string import ascii_lowercase

from huitong.wire.pinyin import SYLLABLES
from huitong.wire.text import fold_pattern

#: Hanzi, kana, bopomofo, and the private use characters that stand for hanzi: each is a word, or nearly.
_RUN = re.compile(
    "([\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u9fff\ue000-\uf8ff"
    "\uf900-\ufaff\U00020000-\U0003ffff\U000f0000-\U0010ffff]+)"
)

#: Two letters that stand together within some pinyin syllable. Half of all names have them, so they are no key;
#: any other two letters (zw, the initials of 张伟) are rare and are one.
COMMON_PAIRS = frozenset(syllable[at : at + 2] for syllable in SYLLABLES for at in range(len(syllable) - 1))
RARE_PAIRS = frozenset(map("".join, product(ascii_lowercase, repeat=2))) - COMMON_PAIRS


def grams(field: str, text_forms: Iterable[str]) -> frozenset[str]:
    """The tokens under which a record is found by these folded forms of its attribute; `field` is one letter.

    Latin letters and digits: trigrams, and the rare pairs of letters. Hanzi: single characters and pairs.
    """
    return _grams(field, tuple(text_forms))


@lru_cache(maxsize=1024)
def _grams(field: str, text_forms: tuple[str, ...]) -> frozenset[str]:
    tokens: set[str] = set()
    # Written together a text has every token that it has with separators, and more.
    whole = {text for text in text_forms if " " not in text or text.replace(" ", "") not in text_forms}
    for run, is_cjk in _runs(whole):
        if is_cjk:
            tokens.update(run)
            tokens.update([run[at : at + 2] for at in range(len(run) - 1)])
        else:
            tokens.update([run[at : at + 3] for at in range(len(run) - 2)])
            tokens.update(RARE_PAIRS.intersection([run[at : at + 2] for at in range(len(run) - 1)]))
    return frozenset([field + _encode(token) for token in tokens])


def pattern_grams(field: str, pattern: str) -> frozenset[str] | None:
    """The tokens that every record matching the DICOM wildcard pattern has; None if it is too short for any."""
    tokens: set[str] = set()
    for run, is_cjk in _runs(re.split(r"[*?]", fold_pattern(pattern))):
        if is_cjk:
            tokens.update([run] if len(run) == 1 else (run[at : at + 2] for at in range(len(run) - 1)))
        elif len(run) > 2:
            tokens.update(run[at : at + 3] for at in range(len(run) - 2))
        elif run in RARE_PAIRS:
            tokens.add(run)
    return frozenset(field + _encode(token) for token in tokens) or None


def _runs(texts: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The words of the texts, each once, cut where hanzi and other writing meet; with whether it is hanzi."""
    words = {word for text in texts for word in text.split()}
    runs = {(run, place % 2 == 1) for word in words for place, run in enumerate(_RUN.split(word)) if run}
    return iter(runs)


def _encode(token: str) -> str:
    """[a-z0-9] only: ASCII as it is (at most 3 characters), all else as hexadecimal UTF-8 (at least 4)."""
    return token if token.isascii() else token.encode().hex()
