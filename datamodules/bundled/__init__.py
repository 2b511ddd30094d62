"""Data sets that need no file of yours, one file each."""

from datamodules.bundled.adult import Adult
from datamodules.bundled.california import CaliforniaHousing
from datamodules.bundled.fashion_mnist import FashionMNIST
from datamodules.bundled.mnist1d import MNIST1D
from datamodules.bundled.reviews import WomensReviews
from datamodules.bundled.scikit import BreastCancer, Diabetes, Digits
from datamodules.bundled.uea import UEA
from datamodules.bundled.vowels import JapaneseVowels

__all__ = [
    "MNIST1D",
    "UEA",
    "Adult",
    "BreastCancer",
    "CaliforniaHousing",
    "Diabetes",
    "Digits",
    "FashionMNIST",
    "JapaneseVowels",
    "WomensReviews",
]
