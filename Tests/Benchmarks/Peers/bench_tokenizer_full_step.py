"""Times one training step of stage 1 in PyTorch: the tokenizer with source recovery, LPIPS, PatchGAN with the adaptive
weight and LeCAM, both players' updates, and the weights' moving average. Weights are random."""

import torch

import measuring
from stage_one_peer import Discriminator, PerceptualLoss, StageOne
from tokenizer_peer import Tokenizer, published


def main() -> None:
    arguments = measuring.tokenizer_arguments(__doc__)

    def work(setting: str) -> dict:
        recovery = {"rec_embed_dim": 256, "rec_layers": 4, "rec_heads": 8}
        config = published("gr-d64", arguments.resolution, ch=arguments.channels, **recovery)
        layout = getattr(torch, measuring.MEMORY_FORMATS[setting])
        networks = [Tokenizer(config), PerceptualLoss(), Discriminator()]
        stage = StageOne(*(network.to(memory_format=layout) for network in networks))
        size = (arguments.batch, 3, arguments.resolution, arguments.resolution)
        image = (2 * torch.rand(size) - 1).to(memory_format=layout)
        merged = config.grid**2 - arguments.keep
        return {
            "seconds": measuring.repeat(lambda: stage.step(image, merged), arguments.warmup, arguments.repeat),
            "parameters": [sum(p.numel() for p in network.parameters()) for network in networks],
        }

    measuring.run("tokenizer-full-step", arguments, list(measuring.MEMORY_FORMATS), work)


if __name__ == "__main__":
    main()
