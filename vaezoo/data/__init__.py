"""Data: sources of examples, their splits, and the batches made of them."""

from vaezoo.data.batches import TrainingBatches, evaluation_batches
from vaezoo.data.binarize import Binarization, to_float
from vaezoo.data.source import Source, Subset, TensorSource
from vaezoo.data.splits import Data, as_data, hold_out, named_splits, shuffled_indices
from vaezoo.data.sprites import Sprites
from vaezoo.data.stream import Stream
from vaezoo.data.stream_batches import StreamBatches

__all__ = [
    "Binarization",
    "Data",
    "Source",
    "Sprites",
    "Stream",
    "StreamBatches",
    "Subset",
    "TensorSource",
    "TrainingBatches",
    "as_data",
    "evaluation_batches",
    "hold_out",
    "named_splits",
    "shuffled_indices",
    "to_float",
]
