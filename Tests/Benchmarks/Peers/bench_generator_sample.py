"""Times raster-order sampling in PyTorch: key-value cache, classifier-free guidance, temperature 1, no filters."""

import statistics

import torch

import measuring
from generator_peer import Generator, GeneratorConfig, parameter_count


def draw(logits: torch.Tensor, _: int) -> torch.Tensor:
    return torch.multinomial(logits.softmax(-1), 1)[:, 0]


def main() -> None:
    parser = measuring.parser(__doc__, batch=8, settings=["eager"])
    measuring.add_generator_sizes(parser)
    parser.add_argument("--guidance", type=float, default=2.0, help="scale of both factors; 1 switches it off")
    arguments = parser.parse_args()

    def work(_: str) -> dict:
        config = GeneratorConfig(**measuring.generator_sizes(arguments))
        model = Generator(config).eval()
        labels = torch.randint(config.class_num, (arguments.batch, 1))
        scales = (arguments.guidance, arguments.guidance)
        seconds = measuring.repeat(lambda: model.sample(labels, scales, draw), arguments.warmup, arguments.repeat)
        tokens = arguments.batch * config.length
        return {
            "seconds": seconds,
            "tokens_per_s": tokens / statistics.median(seconds),
            "parameters": parameter_count(model),
        }

    measuring.run("generator-sample", arguments, ["eager"], work)


if __name__ == "__main__":
    main()
