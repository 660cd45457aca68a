"""Times look-up-free quantization in PyTorch: both losses of N tokens and their gradient, with the full softmax."""

import torch

import measuring
from tokenizer_peer import LookupFreeQuantizer


def main() -> None:
    parser = measuring.parser(__doc__, batch=1, settings=["eager"])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--bits", type=int, default=18)
    arguments = parser.parse_args()

    def work(_: str) -> dict:
        quantizer = LookupFreeQuantizer(arguments.bits)
        z = torch.randn(arguments.batch, arguments.tokens, arguments.bits, requires_grad=True)

        def step() -> None:
            z.grad = None
            out = quantizer(z)
            entropy = out["sample_entropy"] - out["batch_entropy"]
            (0.1 * entropy + 0.25 * out["commitment"]).backward()

        return {"seconds": measuring.repeat(step, arguments.warmup, arguments.repeat)}

    measuring.run("lfq", arguments, ["eager"], work)


if __name__ == "__main__":
    main()
