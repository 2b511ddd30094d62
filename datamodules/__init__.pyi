from .base import DataModule as DataModule
from .bundled.adult import Adult as Adult
from .bundled.california import CaliforniaHousing as CaliforniaHousing
from .bundled.fashion_mnist import FashionMNIST as FashionMNIST
from .bundled.mnist1d import MNIST1D as MNIST1D
from .bundled.reviews import WomensReviews as WomensReviews
from .bundled.scikit import BreastCancer as BreastCancer
from .bundled.scikit import Diabetes as Diabetes
from .bundled.scikit import Digits as Digits
from .bundled.uea import UEA as UEA
from .bundled.vowels import JapaneseVowels as JapaneseVowels
from .errors import DataError as DataError
from .imaging.augmentation import Augment as Augment
from .imaging.image_data import ImageData as ImageData
from .imaging.pixel_data import PixelData as PixelData
from .in_memory import InMemoryData as InMemoryData
from .raw_data import Rows as Rows
from .sequences.sequence_data import SequenceData as SequenceData
from .sequences.series_data import SeriesData as SeriesData
from .streaming.stream_data import StreamData as StreamData
from .streaming.streamed_arrays import StreamedArrays as StreamedArrays
from .streaming.streamed_table import StreamedTable as StreamedTable
from .tables.frame_data import FrameData as FrameData
from .tables.table_data import TableData as TableData
from .texts.labelled_texts import LabelledTexts as LabelledTexts
from .texts.text_data import TextData as TextData

__all__: list[str]
