"""pythae 0.1.2 at the same work: its models and trainers, with the networks of handwritten.py.

Where its settings differ they are ours: fused Adam, our rates, cross-entropy for its squared
error, and the VQ-VAE's distance summed, not averaged. It has no mixed precision on a CPU. Its
FactorVAE computes the bound of one half of each batch only, and so does less.
"""

from __future__ import annotations

import math
import os
import tempfile
from typing import TYPE_CHECKING, Any

import torch
from handwritten import (
    RATE,
    Handwritten,
    HandwrittenFactor,
    HandwrittenIWAE,
    HandwrittenVQ,
    evaluating,
)
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy as cross_entropy

if TYPE_CHECKING:
    from contenders import Contender, Setting


def pythae(setting: Setting) -> Contender:
    """Its trainer, an epoch at a time over as many images as the steps need."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from contenders import Contender
    from pythae.data.datasets import BaseDataset

    torch.manual_seed(0)
    by_hand = setting.task.handwritten()
    model = model_of(by_hand, setting)
    trainers: dict[int, Any] = {}
    kept: dict[str, Any] = {}

    def take(steps: int) -> float:
        if steps not in trainers:  # its loader goes over a whole data set
            count = min(steps * setting.batch, len(setting.images))
            x = setting.images[:count].float() / 255
            trainers[steps] = trainer_of(model, BaseDataset(x, torch.zeros(len(x))), setting)
        trainer = trainers[steps]
        for name in ("optimizer", "autoencoder_optimizer", "discriminator_optimizer"):
            if hasattr(trainer, name):
                setattr(trainer, name, kept.setdefault(name, getattr(trainer, name)))
        epochs = -(-steps // len(trainer.train_loader))
        return sum(loss_of(trainer.train_step(epoch)) for epoch in range(epochs)) / epochs

    return Contender(take, evaluating(by_hand))


def loss_of(figures: Any) -> float:
    """Of an epoch: the loss, or of (both, autoencoder's, discriminator's) the second."""
    return float(figures[1] if isinstance(figures, tuple) else figures)


def trainer_of(model: Any, data: Any, setting: Setting) -> Any:
    """The trainer that the model asks for, without its progress bar."""
    from pythae.trainers import (
        AdversarialTrainer,
        AdversarialTrainerConfig,
        BaseTrainer,
        BaseTrainerConfig,
    )

    shared = {
        "output_dir": tempfile.gettempdir(),
        "per_device_train_batch_size": setting.batch,
        "no_cuda": setting.device == "cpu",
        "amp": setting.precision == "bf16" and setting.device == "cuda",
    }
    fused = {"fused": True}
    if hasattr(model, "discriminator"):
        rates = {"autoencoder_learning_rate": RATE, "discriminator_learning_rate": RATE / 10}
        optimizers = {
            "autoencoder_optimizer_params": fused,
            "discriminator_optimizer_params": fused,
        }
        config = AdversarialTrainerConfig(**shared, **rates, **optimizers)
        trainer = AdversarialTrainer(model, data, training_config=config)
        trainer.set_autoencoder_optimizer()
        trainer.set_discriminator_optimizer()
    else:
        config = BaseTrainerConfig(**shared, learning_rate=RATE, optimizer_params=fused)
        trainer = BaseTrainer(model, data, training_config=config)
        trainer.set_optimizer()
    trainer._setup_callbacks()
    trainer.callback_handler.callbacks.clear()
    return trainer


def model_of(by_hand: Handwritten, setting: Setting) -> Any:
    """pythae's model of the same kind, with the same networks."""
    from pythae.models import (
        IWAE,
        VAE,
        VQVAE,
        FactorVAE,
        FactorVAEConfig,
        IWAEConfig,
        VAEConfig,
        VQVAEConfig,
    )
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = by_hand.encoder

        def forward(self, x: Tensor) -> Any:
            output = self.layers(x)
            if isinstance(by_hand, HandwrittenVQ):
                return ModelOutput(embedding=output)
            mean, logvar = output.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = by_hand.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    class Critic(BaseDiscriminator):
        def __init__(self) -> None:
            super().__init__()
            assert isinstance(by_hand, HandwrittenFactor)
            hidden = by_hand.critic[:-1]
            layers = (each for layer in hidden for each in (layer, nn.LeakyReLU(0.2)))
            self.layers = nn.Sequential(*layers, nn.Linear(1000, 2))

        def forward(self, z: Tensor) -> Any:
            return self.layers(z)

    class SummedVQVAE(VQVAE):
        def loss_function(self, recon_x: Tensor, x: Tensor, quantizer_output: Any) -> Any:
            likelihood = cross_entropy(recon_x, x, reduction="none").flatten(1).sum(1)
            places = quantizer_output.quantized_indices[0].numel()
            codes = quantizer_output.loss * quantizer_output.quantized_vector[0].numel()
            codes = codes + places * math.log(self.model_config.num_embeddings)
            return (likelihood + codes).mean(), likelihood.mean(), codes

    shape = {
        "input_dim": setting.task.shape,
        "latent_dim": setting.task.options.get("latent_dim", 16),
    }
    bernoulli = {**shape, "reconstruction_loss": "bce"}
    if isinstance(by_hand, HandwrittenVQ):
        codes, decay = len(by_hand.book), by_hand.decay
        config = VQVAEConfig(**shape, num_embeddings=codes, decay=decay, use_ema=True)
        return SummedVQVAE(config, Encoder(), Decoder())
    if isinstance(by_hand, HandwrittenFactor):
        config = FactorVAEConfig(**bernoulli, gamma=by_hand.gamma)
        model = FactorVAE(config, Encoder(), Decoder())
        model.set_discriminator(Critic())
        return model
    if isinstance(by_hand, HandwrittenIWAE):
        return IWAE(IWAEConfig(**bernoulli, number_samples=by_hand.k), Encoder(), Decoder())
    return VAE(VAEConfig(**bernoulli), Encoder(), Decoder())
