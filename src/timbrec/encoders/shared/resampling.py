"""The option `resampler` of encoders."""

from __future__ import annotations

from timbrec.protocols import EncoderCard


def resampled(card: EncoderCard, resampler: str) -> EncoderCard:
    """Return the card of an encoder whose audio is resampled by `resampler`; other than soxr, it is in the revision.

    Raises ConfigError for a resampler that is unknown or not installed.
    """
    from timbrec.audio import check_resampler

    check_resampler(resampler)
    return card if resampler == card.resampler else card.loaded(f"resampler {resampler}", resampler=resampler)
