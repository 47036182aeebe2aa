"""Data: sources of examples, their splits, and the batches made of them."""

from vaezoo.data.batches import TrainingBatches, evaluation_batches
from vaezoo.data.binarize import Binarization, to_float
from vaezoo.data.labels import FewLabels, hide_labels, oversample_labelled
from vaezoo.data.preprocessing import (
    ArrayPreprocessing,
    ImagePreprocessing,
    Preprocessing,
    TablePreprocessing,
)
from vaezoo.data.progress import listening
from vaezoo.data.reading import data_for, open_for, original_units, read_for
from vaezoo.data.select import select
from vaezoo.data.source import Source, Subset, TensorSource
from vaezoo.data.splits import Data, as_data, hold_out, named_splits, shuffled_indices
from vaezoo.data.sprites import Sprites
from vaezoo.data.stream import Stream
from vaezoo.data.stream_batches import StreamBatches

__all__ = [
    "ArrayPreprocessing",
    "Binarization",
    "Data",
    "FewLabels",
    "ImagePreprocessing",
    "Preprocessing",
    "Source",
    "Sprites",
    "Stream",
    "StreamBatches",
    "Subset",
    "TablePreprocessing",
    "TensorSource",
    "TrainingBatches",
    "as_data",
    "data_for",
    "evaluation_batches",
    "hide_labels",
    "hold_out",
    "listening",
    "named_splits",
    "open_for",
    "original_units",
    "oversample_labelled",
    "read_for",
    "select",
    "shuffled_indices",
    "to_float",
]
