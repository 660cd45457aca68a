"""Stage 1 of MergeVQ with everything that its objective may have, as plain PyTorch modules: LPIPS, PatchGAN with LeCAM and
the adaptive weight (method 1.5), both players' updates, and the weights' moving average.

Parameter names are those of published checkpoints: torchvision's VGG-16 and LPIPS's linear layers, PatchGAN's ``main``.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokenizer_peer import Tokenizer, reconstruction_losses, source_loss


class PerceptualLoss(nn.Module):
    """LPIPS on VGG-16: weighted squared differences of unit-normalised features; nothing of it is trained."""

    STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        self.ends = []
        for number, (width, depth) in enumerate(self.STAGES):
            if number > 0:
                layers.append(nn.MaxPool2d(2))
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        # Published as lin0.model.1.weight: a dropout, which is off, stands before the convolution.
        for number, (width, _) in enumerate(self.STAGES):
            linear = nn.Module()
            linear.model = nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))
            self.add_module(f"lin{number}", linear)
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)
        self.requires_grad_(False)

    def unit_features(self, images: Tensor) -> list[Tensor]:
        x, start, result = (images - self.shift) / self.scale, 0, []
        for end in self.ends:
            x = self.features[start:end](x)
            result.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
            start = end
        return result

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        """Distances of images B x 3 x H x W from their targets, B; the gradient flows to ``images`` alone."""
        with torch.no_grad():
            targets = self.unit_features(target)
        distances = [
            self.get_submodule(f"lin{number}").model((a - b).square()).mean(dim=(1, 2, 3))
            for number, (a, b) in enumerate(zip(self.unit_features(images), targets))
        ]
        return torch.stack(distances).sum(0)


class Discriminator(nn.Module):
    """PatchGAN: logits of patches."""

    def __init__(self, width: int = 64, layers: int = 3):
        super().__init__()
        parts = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for layer in range(1, layers + 1):
            outputs = width * min(2**layer, 8)
            stride = 1 if layer == layers else 2
            parts.append(nn.Conv2d(channels, outputs, 4, stride=stride, padding=1, bias=False))
            parts += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
            channels = outputs
        self.main = nn.Sequential(*parts, nn.Conv2d(channels, 1, 4, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.main(images)


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating loss of each image's mean logit."""
    return F.softplus(-fake.mean(dim=(1, 2, 3))).mean()


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


@dataclass
class LeCAM:
    """Regularisation of the logits by moving averages of those of the other kind."""

    real: float | Tensor = 0.0
    fake: float | Tensor = 0.0
    decay: float = 0.999

    def update(self, real: Tensor, fake: Tensor) -> None:
        self.real = self.decay * self.real + (1 - self.decay) * real.detach().mean()
        self.fake = self.decay * self.fake + (1 - self.decay) * fake.detach().mean()

    def __call__(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(real - self.fake).square().mean() + F.relu(self.real - fake).square().mean()


class StageOne:
    """Tokenizer, LPIPS and discriminator, and a training step of them."""

    def __init__(
        self, tokenizer: Tokenizer, perceptual: PerceptualLoss, discriminator: Discriminator,
        adaptive_factor: float = 0.8, lecam_weight: float = 0.01, average_decay: float = 0.999,
    ):
        self.tokenizer, self.perceptual, self.discriminator = tokenizer, perceptual, discriminator
        self.adaptive_factor, self.lecam_weight, self.average_decay = adaptive_factor, lecam_weight, average_decay
        self.lecam = LeCAM()
        self.optimizers = [
            torch.optim.Adam(module.parameters(), lr=1e-4, betas=(0.5, 0.9)) for module in (tokenizer, discriminator)
        ]
        self.average = [parameter.detach().clone() for parameter in tokenizer.parameters()]

    def adaptive_weight(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """The adversarial weight of two gradients with respect to the decoder's last weight."""
        return self.adaptive_factor * (reconstruction.norm() / (adversarial.norm() + 1e-4)).clamp(max=1e4)

    def generator_backward(self, image: Tensor, merged: int) -> dict[str, Tensor]:
        """The generator's turn: losses, and the gradients of all of the tokenizer's parameters.

        Both losses of the images go back to the images first, so that the weight of one can follow from the other's, and
        then once through the decoder: what is cheapest in PyTorch, too.
        """
        out = self.tokenizer(image, merged)
        leaf = out["reconstruction"].detach().requires_grad_()
        l1, distance = (image - leaf).abs().mean(), self.perceptual(leaf, image).mean()
        (direction,) = torch.autograd.grad(l1 + distance, leaf)
        self.discriminator.requires_grad_(False)
        adversarial = generator_loss(self.discriminator(leaf))
        (opposite,) = torch.autograd.grad(adversarial, leaf)
        self.discriminator.requires_grad_(True)
        last = self.tokenizer.decoder.conv_out.weight
        gradients = [
            torch.autograd.grad(out["reconstruction"], last, gradient, retain_graph=True)[0]
            for gradient in (direction, opposite)
        ]
        weight = self.adaptive_weight(*gradients)
        losses = reconstruction_losses(out, image)
        codes = 0.1 * losses["entropy"] + 0.25 * losses["commitment"] + source_loss(out)
        torch.autograd.backward([out["reconstruction"], codes], [direction + weight * opposite, None])
        return out | {
            "l1": l1, "perceptual": distance, "adversarial": adversarial, "weight": weight, "codes": codes,
        }

    def discriminator_loss(self, image: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's turn; moves LeCAM's averages."""
        real_logits, fake_logits = self.discriminator(image), self.discriminator(fake)
        self.lecam.update(real_logits, fake_logits)
        return hinge_loss(real_logits, fake_logits) + self.lecam_weight * self.lecam(real_logits, fake_logits)

    def step(self, image: Tensor, merged: int) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        out = self.generator_backward(image, merged)
        self.discriminator_loss(image, out["reconstruction"].detach()).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.tokenizer.parameters()), 1 - self.average_decay)
