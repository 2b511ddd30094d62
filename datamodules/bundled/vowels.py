"""Japanese vowels (Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using passing-through
regions").
"""

from typing import Any

from datamodules.bundled.uea import UEA


class JapaneseVowels(UEA):
    """640 times two vowels, 12 cepstrum coefficients over 7 to 29 steps: which of nine men says them?

    Args:
        pooled: Split all series, instead of training on the official 270 and testing on the official 370.
    """

    def __init__(self, pooled: bool = False, **kwargs: Any) -> None:
        super().__init__(name="JapaneseVowels", pooled=pooled, **kwargs)
