"""Text to search terms: English stems and Chinese character bigrams, from one function.

BM25, the full-text index and the lexical part of scoring all call :func:`terms`, so a query and a document
always agree on what a term is. The rules are few and fixed, because an index on disk outlives the process:

* Unicode NFKC first, then case folding: full-width letters, ligatures and capitals do not hide a word.
* A run of Han, kana or Hangul gives its character **bigrams**; a run of one character gives that character.
  A tokenizer that splits on spaces finds nothing inside such a run, and trigrams miss two-character words.
* Any other run of letters and digits is one word; ASCII words are stemmed with Snowball's English stemmer
  (Porter2, https://snowballstemmer.org/algorithms/english/stemmer.html).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Protocol

# Scripts written without spaces, or with particles glued on: the set Lucene's CJKBigramFilter covers.
CJK = (
    "\u3005-\u3007"  # iteration mark, closing mark, ideographic zero
    "\u3040-\u30ff"  # hiragana, katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # ideographs
    "\uac00-\ud7a3"  # Hangul syllables
    "\U00020000-\U0003ffff"  # ideographs, supplementary planes
)
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_TOKEN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:'[^\W\d_{CJK}]+)?")
_CJK_RUN = re.compile(rf"[{CJK}]")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


class _Stemmer(Protocol):
    def stemWords(self, words: list[str]) -> list[str]: ...


_local = threading.local()  # a Snowball stemmer keeps a buffer: one for each thread


def _stemmer() -> _Stemmer:
    stemmer: _Stemmer | None = getattr(_local, "stemmer", None)
    if stemmer is None:
        import Stemmer  # type: ignore[import-not-found]  # PyStemmer: a compiled module without stubs

        stemmer = Stemmer.Stemmer("english")
        _local.stemmer = stemmer
    return stemmer


def terms(text: str) -> list[str]:
    """Return the search terms of a text, in order, repeats included.

    Args:
        text: any text, in any mixture of scripts.

    Returns:
        Lower-case terms without spaces; empty when the text has no letter and no digit.

    >>> terms("Running shoes, 吃火锅!")
    ['run', 'shoe', '吃火', '火锅']
    """
    if text.isascii():
        return _stemmer().stemWords(_ASCII_WORD.findall(text.lower()))
    # Folding case can undo the normal form, so it is applied again.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_APOSTROPHES)
    return list(_mixed(_TOKEN.findall(folded)))


def _mixed(tokens: Iterable[str]) -> Iterator[str]:
    stem = _stemmer().stemWords
    for token in tokens:
        if token.isascii():
            yield from stem([token])
        elif len(token) == 1 or _CJK_RUN.match(token) is None:
            yield token
        else:
            yield from [token[at : at + 2] for at in range(len(token) - 1)]
