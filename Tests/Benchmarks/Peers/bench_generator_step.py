"""Times one training step of the factorised AR transformer in PyTorch: forward, backward, clipping and AdamW."""

import torch

import measuring
from generator_peer import Generator, GeneratorConfig, decay_groups, factorized_loss, parameter_count


def main() -> None:
    parser = measuring.parser(__doc__, batch=4, settings=["eager"])
    measuring.add_generator_sizes(parser)
    arguments = parser.parse_args()

    def work(_: str) -> dict:
        config = GeneratorConfig(**measuring.generator_sizes(arguments))
        model = Generator(config)
        first, second = (2**bits for bits in config.factorized_bits)
        pre = torch.randint(first, (arguments.batch, config.length))
        post = torch.randint(second, (arguments.batch, config.length))
        labels = torch.randint(config.class_num + 1, (arguments.batch, 1))
        optimizer = torch.optim.AdamW(decay_groups(model, 0.05), lr=3e-4, betas=(0.9, 0.95))

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            sum(factorized_loss(model(pre, post, labels), pre, post)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        seconds = measuring.repeat(step, arguments.warmup, arguments.repeat)
        return {"seconds": seconds, "parameters": parameter_count(model)}

    measuring.run("generator-step", arguments, ["eager"], work)


if __name__ == "__main__":
    main()
