"""Networks: options by which `create(..., network=...)` chooses and shapes them."""

from vaezoo.networks.conv import Conv
from vaezoo.networks.mlp import MLP
from vaezoo.networks.resnet import ResNet

__all__ = ["MLP", "Conv", "ResNet"]
