"""Pictures of a VAE as Pillow images: sheets of examples, and the course of training."""

from vaezoo.pictures.contact import contact_sheet
from vaezoo.pictures.curve import training_curve
from vaezoo.pictures.figures import class_samples, reconstructions, samples, traversals
from vaezoo.pictures.grid import check_png, grid, save_png

__all__ = [
    "check_png",
    "class_samples",
    "contact_sheet",
    "grid",
    "reconstructions",
    "samples",
    "save_png",
    "training_curve",
    "traversals",
]
