"""Makes augmented*.{png,txt} in this folder: python make_augmentation_fixtures.py

Written with Python 3.11, Pillow 13.0.0, torchvision 0.28.0, timm 1.0.31.
augmented.png holds copies of a 32 × 24 part of resize-wide.png, one below the other, each after what its line of augmented.txt says:
operations separated by " | ", each a name of torchvision's or timm's and an argument.
augmented-strengths.txt: timm's operation, strength, sign, and the argument they give.
augmented-crop.png is torchvision's resized_crop(resize-wide.png, top 7, left 13, height 24, width 40, to 20 × 20).
"""
from PIL import Image
import timm.data.auto_augment as timm
import torchvision.transforms.functional as vision

whole = Image.open("resize-wide.png")
picture = whole.crop((8, 6, 40, 30))
FILL = (124, 116, 104)
INTERPOLATIONS = {"linear": Image.BILINEAR, "cubic": Image.BICUBIC}

VISION = {
    "brightness": vision.adjust_brightness,
    "contrast": vision.adjust_contrast,
    "saturation": vision.adjust_saturation,
    "hue": vision.adjust_hue,
    "greyscale": lambda image, _: vision.rgb_to_grayscale(image, 3),
    "blur9": lambda image, sigma: vision.gaussian_blur(image, 9, sigma),
    "blur23": lambda image, sigma: vision.gaussian_blur(image, 23, sigma),
}

LINES = [
    "brightness 0.4", "brightness 1.7", "contrast 0.3", "contrast 1.8", "saturation 0", "saturation 0.5",
    "saturation 1.9", "hue -0.5", "hue -0.13", "hue 0.1", "hue 0.37", "saturation 0 | hue 0.2", "greyscale 0",
    "blur9 1.3", "blur23 0.1", "blur23 2", "AutoContrast 0", "brightness 0.4 | AutoContrast 0",
    "brightness 0 | AutoContrast 0", "Equalize 0", "contrast 0.2 | Equalize 0", "brightness 0 | Equalize 0",
    "Invert 0", "Rotate:linear 21", "Rotate:cubic -21", "Rotate:cubic 30", "PosterizeIncreasing 4",
    "PosterizeIncreasing 1", "SolarizeIncreasing 77", "SolarizeIncreasing 256",
    "SolarizeAdd 77", "ColorIncreasing 0.37", "ColorIncreasing 1.63", "ContrastIncreasing 1.63",
    "BrightnessIncreasing 0.37", "SharpnessIncreasing 0.1", "SharpnessIncreasing 1.63", "ShearX:linear 0.21",
    "ShearX:cubic -0.21", "ShearY:linear -0.21", "ShearY:cubic 0.21", "TranslateXRel:linear 0.315",
    "TranslateXRel:cubic -0.315", "TranslateYRel:cubic 0.315", "TranslateYRel:linear -0.315",
]


def applied(image, name, argument):
    if name in VISION:
        return VISION[name](image, argument)
    name, _, interpolation = name.partition(":")
    arguments = () if name in ("AutoContrast", "Equalize", "Invert") else (
        (int(argument),) if name.startswith(("Posterize", "Solarize")) else (argument,))
    return timm.NAME_TO_OP[name](
        image, *arguments, fillcolor=FILL, resample=INTERPOLATIONS[interpolation or "cubic"])


def make_pictures():
    sheet = Image.new("RGB", (picture.width, picture.height * len(LINES)))
    for index, line in enumerate(LINES):
        image = picture
        for step in line.split(" | "):
            name, argument = step.split()
            image = applied(image, name, float(argument))
        sheet.paste(image, (0, index * picture.height))
    sheet.save("augmented.png", optimize=True)
    open("augmented.txt", "w").write("\n".join(LINES) + "\n")


def make_strengths():
    lines = []
    for sign in (1, -1):
        timm._randomly_negate = lambda value, sign=sign: sign * value
        for name in timm._RAND_INCREASING_TRANSFORMS:
            for strength in (0, 0.3, 6.49, 7, 7.63, 10):
                rule = timm.LEVEL_TO_ARG[name]
                argument = rule(strength, {})[0] if rule else 0
                lines.append(f"{name} {strength} {sign} {argument}")
    open("augmented-strengths.txt", "w").write("\n".join(lines) + "\n")


make_pictures()
make_strengths()
vision.resized_crop(whole, 7, 13, 24, 40, (20, 20), vision.InterpolationMode.BICUBIC).save(
    "augmented-crop.png", optimize=True)
