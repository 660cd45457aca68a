"""Makes photographs.{png,txt} outside the repository: python make_photograph_views.py IMAGENET-SAMPLE FOLDER

What torchvision's usual transforms make of photographs: decoded by Pillow, shorter side resized to 256 by antialiased
bicubic interpolation (the longer one rounded down), the middle 224 × 224. Of each photograph a patch of 64 × 64 pixels is
kept, at a place that moves from image to image; photographs.txt holds name, left and top of it. The photographs must not
become part of the repository; PhotographTests looks for FOLDER in $MERGEVQ_PILLOW_VIEWS.
"""
import sys
from pathlib import Path

from PIL import Image

RESIZED, CROPPED, PATCH = 256, 224, 64
photographs = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))
sheet = Image.new("RGB", (PATCH, PATCH * len(photographs)))
lines = []
for index, path in enumerate(photographs):
    image = Image.open(path).convert("RGB")
    width, height = image.size
    size = ((RESIZED, RESIZED * height // width) if width <= height else (RESIZED * width // height, RESIZED))
    left, top = (size[0] - CROPPED) // 2, (size[1] - CROPPED) // 2
    image = image.resize(size, Image.BICUBIC).crop((left, top, left + CROPPED, top + CROPPED))
    x, y = index * 37 % (CROPPED - PATCH), index * 59 % (CROPPED - PATCH)
    sheet.paste(image.crop((x, y, x + PATCH, y + PATCH)), (0, PATCH * index))
    lines.append(f"{path.name} {x} {y}")
folder = Path(sys.argv[2])
sheet.save(folder / "photographs.png")
(folder / "photographs.txt").write_text("\n".join(lines) + "\n")
