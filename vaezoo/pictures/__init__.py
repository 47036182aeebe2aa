"""Pictures of a VAE as Pillow images: sheets of examples, scatters, charts and curves."""

from vaezoo.pictures.charts import column_chart, kl_chart
from vaezoo.pictures.contact import contact_sheet
from vaezoo.pictures.curve import training_curve
from vaezoo.pictures.factors import factor_codes
from vaezoo.pictures.figures import class_samples, drawn, reconstructions, samples, traversals
from vaezoo.pictures.grid import check_png, grid, save_png
from vaezoo.pictures.latents import MODES, interpolations, latent_codes, manifold
from vaezoo.pictures.scatter import scatter

__all__ = [
    "MODES",
    "check_png",
    "class_samples",
    "column_chart",
    "contact_sheet",
    "drawn",
    "factor_codes",
    "grid",
    "interpolations",
    "kl_chart",
    "latent_codes",
    "manifold",
    "reconstructions",
    "samples",
    "save_png",
    "scatter",
    "training_curve",
    "traversals",
]
