"""Times torchvision + PIL going once through a folder of photographs: decode, resize 256, crop 224, normalise.

``--threads 1`` works in the process itself; more threads are worker processes of a DataLoader, as usual.
``--part decode`` times decoding alone.
"""

import importlib.util
import os
import sys
from pathlib import Path

if missing := [name for name in ("PIL", "torchvision") if importlib.util.find_spec(name) is None]:
    print(f"bench: 'loader' has no peer without {' and '.join(missing)}", file=sys.stderr)
    sys.exit(69)  # Unavailable, as of sysexits.h.

import torch
from PIL import Image

import measuring

SUFFIXES = {".jpeg", ".jpg", ".png"}


def transforms():
    """torchvision's transforms. Its wheel may belong to another build of torch than the CPU's: then its compiled
    operators are missing, which transforms do not use, and importing it needs stand-ins for their names."""
    import re

    try:
        return importlib.import_module("torchvision.transforms")
    except RuntimeError:
        root = Path(torch.__file__).parent.parent / "torchvision" / "_meta_registrations.py"
        for name in set(re.findall(r'register_fake\("torchvision::(\w+)"', root.read_text())):
            torch.library.define(f"torchvision::{name}", "(Tensor x) -> Tensor")
        return importlib.import_module("torchvision.transforms")


class Photographs(torch.utils.data.Dataset):
    """The files of a folder of class folders, decoded by PIL and transformed by torchvision."""

    def __init__(self, folder: str, transform):
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        with Image.open(self.paths[index]) as image:
            image = image.convert("RGB")
        return self.transform(image) if self.transform else image.size[0]


def main() -> None:
    parser = measuring.parser(__doc__, batch=40, settings=["pil"])
    data = os.environ.get("MERGEVQ_TEST_DATA", "../shared/data")
    parser.add_argument("--images", default=data + "/imagenet-sample")
    parser.add_argument("--part", choices=["views", "decode"], default="views")
    arguments = parser.parse_args()

    def work(_: str) -> dict:
        transform = None
        if arguments.part == "views":
            torchvision = transforms()
            transform = torchvision.Compose([
                torchvision.Resize(256, torchvision.InterpolationMode.BICUBIC),
                torchvision.CenterCrop(224),
                torchvision.ToTensor(),
                torchvision.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ])
        photographs = Photographs(arguments.images, transform)
        workers = arguments.threads if arguments.threads > 1 else 0
        loader = torch.utils.data.DataLoader(photographs, batch_size=arguments.batch, num_workers=workers)

        def once() -> None:
            for _ in loader:
                pass

        return {"seconds": measuring.repeat(once, arguments.warmup, arguments.repeat)}

    measuring.run("loader", arguments, ["pil"], work)


if __name__ == "__main__":
    main()
