"""Makes the pictures in this folder, seeded: python make_fixtures.py

Written with Python 3.11, Pillow 13.0.0, numpy 2, libturbojpeg 2.1.5.
codec-NAME.{png,jpg} is a file as found in the wild, codec-NAME.expected.png what it shows as 8-bit RGB.
resize-NAME.png is an input, resize-NAME-WxH.png the same through Image.resize((W, H), BICUBIC).
"""
import ctypes
import io
import struct
import zlib

import numpy as np
from PIL import Image

random = np.random.default_rng(7)
WIDTH, HEIGHT = 22, 17
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def scene(width, height, noise=0):
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    picture = np.stack([255 * x, 255 * y, 128 + 100 * np.sin(9 * x + 5 * y)], -1)
    picture[height // 3 : 2 * height // 3, width // 4 : width // 2] = (230, 40, 20)
    picture += noise * random.standard_normal(picture.shape)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def write_png(name, samples, depth, color_type, chunks=(), interlaced=False):
    """`samples` is [height, width, channels]; Pillow cannot write all of these."""
    samples = np.asarray(samples, dtype=">u2" if depth == 16 else np.uint8)
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = b""
    for x, y, dx, dy in passes:
        for row in samples[y::dy, x::dx]:
            if row.size:
                rows += b"\0" + row.tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        for kind, data in chunks:
            file.write(chunk(kind, data))
        file.write(chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def expect(name, rgb):
    Image.fromarray(np.asarray(rgb, np.uint8)).save(f"codec-{name}.expected.png", optimize=True)


def over_white(rgb, alpha):
    alpha = alpha.astype(int)
    return (rgb.astype(int) * alpha + 255 * (255 - alpha) + 127) // 255


def make_pngs(rgb):
    gray = rgb[..., :1]
    alpha = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH, 1).astype(np.uint8)
    write_png("codec-gray.png", gray, 8, 0)
    expect("gray", np.repeat(gray, 3, -1))
    deep = random.integers(0, 65536, (HEIGHT, WIDTH, 3))
    write_png("codec-rgb16.png", deep, 16, 2)
    expect("rgb16", np.rint(deep * 255 / 65535))
    write_png("codec-gray16.png", deep[..., :1], 16, 0)
    expect("gray16", np.repeat(np.rint(deep[..., :1] * 255 / 65535), 3, -1))
    palette = random.integers(0, 256, (16, 3)).astype(np.uint8)
    transparency = (np.arange(16) * 17).astype(np.uint8)
    indices = random.integers(0, 16, (HEIGHT, WIDTH, 1))
    write_png("codec-palette.png", indices, 8, 3, [(b"PLTE", palette.tobytes())])
    expect("palette", palette[indices[..., 0]])
    write_png("codec-palette-transparent.png", indices, 8, 3,
              [(b"PLTE", palette.tobytes()), (b"tRNS", transparency.tobytes())])
    expect("palette-transparent", over_white(palette[indices[..., 0]], transparency[indices]))
    write_png("codec-rgba.png", np.concatenate([rgb, alpha], -1), 8, 6)
    expect("rgba", over_white(rgb, alpha))
    write_png("codec-gray-alpha.png", np.concatenate([gray, alpha], -1), 8, 4)
    expect("gray-alpha", over_white(np.repeat(gray, 3, -1), alpha))
    # A gamma that, if obeyed, would change every value.
    write_png("codec-interlaced.png", rgb, 8, 2, [(b"gAMA", struct.pack(">I", 100000))], interlaced=True)
    expect("interlaced", rgb)
    write_png("codec-interlaced-rgba.png", np.concatenate([rgb, alpha], -1), 8, 6, interlaced=True)
    expect("interlaced-rgba", over_white(rgb, alpha))


def without_segment(jpeg, marker):
    at = jpeg.index(bytes([0xFF, marker]))
    return jpeg[:at] + jpeg[at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0] :]


def make_jpegs(rgb):
    picture = Image.fromarray(rgb)
    options = dict(quality=95, subsampling=0)

    def encoded(image, **more):
        file = io.BytesIO()
        image.save(file, "JPEG", **options, **more)
        return file.getvalue()

    def keep(name, jpeg, shown):
        open(f"codec-{name}.jpg", "wb").write(jpeg)
        expect(name, shown)

    gray = picture.convert("L")
    keep("jpeg-gray", encoded(gray), np.asarray(gray.convert("RGB")))
    keep("jpeg-progressive", encoded(picture, progressive=True), rgb)
    orientation = Image.Exif()
    orientation[0x0112] = 6  # "rotate by 90 degrees", to be ignored
    keep("jpeg-rotated-by-exif", encoded(picture, exif=orientation), rgb)
    # Dark ink in part of the picture, so that taking it the wrong way round shows.
    ink = np.concatenate([255 - rgb, (rgb[..., :1] // 4)], -1)
    shown = (255 - ink[..., :3].astype(int)) * (255 - ink[..., 3:].astype(int)) // 255
    keep("jpeg-cmyk-adobe", encoded(Image.fromarray(ink, "CMYK")), shown)
    plain = without_segment(encoded(Image.fromarray(255 - ink, "CMYK")), 0xEE)
    keep("jpeg-cmyk-plain", plain, shown)
    library = ctypes.CDLL("libturbojpeg.so.0")
    library.tjInitCompress.restype = ctypes.c_void_p
    output, size = ctypes.c_void_p(), ctypes.c_ulong()
    stored = np.ascontiguousarray(255 - ink)
    handle = ctypes.c_void_p(library.tjInitCompress())
    library.tjCompress2(handle, stored.ctypes.data_as(ctypes.c_void_p), WIDTH, 0, HEIGHT, 11,
                        ctypes.byref(output), ctypes.byref(size), 0, 95, 0)
    keep("jpeg-ycck", ctypes.string_at(output.value, size.value), shown)


def make_resizes():
    for name, width, height, sizes in [
        ("wide", 61, 43, [(29, 20), (61, 20), (33, 43)]),
        ("tall", 24, 57, [(40, 95)]),
        ("large", 100, 75, [(9, 7)]),
    ]:
        picture = Image.fromarray(scene(width, height, noise=40))
        picture.save(f"resize-{name}.png", optimize=True)
        for size in sizes:
            picture.resize(size, Image.BICUBIC).save(f"resize-{name}-{size[0]}x{size[1]}.png", optimize=True)


make_pngs(scene(WIDTH, HEIGHT))
make_jpegs(scene(WIDTH, HEIGHT))
make_resizes()
