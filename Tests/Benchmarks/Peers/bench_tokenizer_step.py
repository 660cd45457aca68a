"""Times one training step of the tokenizer in PyTorch: forward, backward and Adam, with L1 + entropy + commitment."""

import torch

import measuring
from tokenizer_peer import Tokenizer, published, reconstruction_losses


def main() -> None:
    arguments = measuring.tokenizer_arguments(__doc__)

    def work(setting: str) -> dict:
        config = published("gr-d64", arguments.resolution, ch=arguments.channels)
        layout = getattr(torch, measuring.MEMORY_FORMATS[setting])
        model = Tokenizer(config).to(memory_format=layout)
        size = (arguments.batch, 3, arguments.resolution, arguments.resolution)
        image = (2 * torch.rand(size) - 1).to(memory_format=layout)
        merged = config.grid**2 - arguments.keep
        # The alignment loss is not part of this step, so the head is neither run backward nor updated.
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.5, 0.9))

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            reconstruction_losses(model(image, merged), image)["loss"].backward()
            optimizer.step()

        parameters = {
            part: sum(p.numel() for p in getattr(model, part).parameters()) for part in ("encoder", "decoder")
        }
        return {"seconds": measuring.repeat(step, arguments.warmup, arguments.repeat), "parameters": parameters}

    measuring.run("tokenizer-step", arguments, list(measuring.MEMORY_FORMATS), work)


if __name__ == "__main__":
    main()
