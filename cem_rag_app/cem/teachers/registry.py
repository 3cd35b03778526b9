"""From a name in the settings to a text encoder."""

from __future__ import annotations

from collections.abc import Sequence

from cem_rag_app.cem.teachers.base import IdentifiedEncoder
from cem_rag_app.errors import SettingsError

EMBEDDED_ZH = "embedded-zh"
MINILM_EN = "minilm-en"
GEMINI = "gemini"
SENTENCE_TRANSFORMERS = "sentence-transformers"

_HAN_SHARE = 0.15


def load_teacher(
    name: str,
    *,
    device: str = "cpu",
    api_key: str | None = None,
    base_url: str | None = None,
    batch_size: int | None = None,
    bfloat16: bool = False,
) -> IdentifiedEncoder:
    """Return the text encoder of that name; nothing heavy happens before its first encode.

    Args:
        name: ``embedded-zh``, ``minilm-en``, ``gemini``, ``sentence-transformers`` (Qwen3-Embedding-0.6B) or
            ``sentence-transformers:PATH_OR_HUB_NAME``.
        device: torch device of the encoders that use torch.
        api_key: key for ``gemini``.
        base_url: another address of the Gemini API.
        batch_size: texts a forward pass, of the encoders that use torch; None: the encoder's own.
        bfloat16: run ``minilm-en`` in bfloat16; the others do not know it.

    Raises:
        SettingsError: no encoder has that name.
        MissingKeyError: ``gemini`` without a key.
    """
    kind, _, rest = name.partition(":")
    if name == EMBEDDED_ZH:
        from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder

        return EmbeddedZhEncoder()
    if name == MINILM_EN:
        from cem_rag_app.cem.teachers.minilm import MiniLmEncoder

        return MiniLmEncoder(device=device, batch_size=batch_size or 32, bfloat16=bfloat16)
    if name == GEMINI:
        from cem_rag_app.cem.teachers.gemini import GeminiEncoder

        return GeminiEncoder(api_key=api_key, base_url=base_url)
    if kind == SENTENCE_TRANSFORMERS:
        from cem_rag_app.cem.teachers.sentence import DEFAULT_MODEL, SentenceEncoder

        return SentenceEncoder(rest or DEFAULT_MODEL, device=device, batch_size=batch_size or 16)
    raise SettingsError(
        f"No text encoder is called {name!r}.",
        remedy="Use embedded-zh, minilm-en, sentence-transformers:PATH_OR_NAME or gemini.",
    )


def choose_teacher(sample_texts: Sequence[str]) -> str:
    """Choose by language: ``embedded-zh`` where Han characters are a noticeable share of the letters.

    The bar is low on purpose: the English model sees every Chinese sentence alike, while the Chinese one still
    tells the Latin words of a mixed chat apart. Texts without letters go to ``minilm-en``.
    """
    han = letters = 0
    for text in sample_texts:
        for character in text:
            if character.isalpha():
                letters += 1
                han += is_han(character)
    return EMBEDDED_ZH if letters and han / letters >= _HAN_SHARE else MINILM_EN


def is_han(character: str) -> bool:
    """Whether a character is in one of Unicode's unified ideograph blocks (4E00-9FFF, 3400-4DBF, F900-FAFF, 2xxxx)."""
    code = ord(character)
    return (
        0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x323AF
    )
