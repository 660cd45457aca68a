"""Makes devkit.tar.gz, devkit-plain.mat and deflate-*.zlib in this folder: python make_devkit_fixture.py

A development kit like ILSVRC2012_devkit_t12.tar.gz with five classes and six validation images.
Written with Python 3.11 and scipy 1.16 (MATLAB 5 files, compressed in the archive, plain beside it).
"""
import gzip
import io
import tarfile
import zlib

import numpy as np
from scipy.io import savemat

# ILSVRC id, wnid, children: ids of leaves come first, in no order of their wnids.
SYNSETS = [(1, "n02119789", []), (2, "n02100735", []), (3, "n01440764", []), (4, "n15075141", []),
           (5, "n02110185", []), (6, "n02083346", [2, 5]), (7, "n02075296", [1, 6]), (8, "n00001740", [3, 4, 7])]
TRUTH = [3, 1, 5, 5, 2, 4]

fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height",
          "num_train_images"]
synsets = np.empty((len(SYNSETS), 1), dtype=[(name, object) for name in fields])
for row, (number, wnid, children) in enumerate(SYNSETS):
    synsets[row, 0] = (float(number), wnid, f"words of {wnid}, größer", "a gloss", float(len(children)),
                       np.array(children, dtype=float).reshape(1, -1), float(bool(children)), 1300.0)


def meta(compressed):
    file = io.BytesIO()
    savemat(file, {"synsets": synsets}, do_compression=compressed)
    data = bytearray(file.getvalue())
    # The header carries the date; the fixture should not.
    data[:116] = b"MATLAB 5.0 MAT-file, made by make_devkit_fixture.py".ljust(116)
    return bytes(data)


with open("devkit-plain.mat", "wb") as file:
    file.write(meta(False))
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    for name, data in [
        ("ILSVRC2012_devkit_t12/readme.txt", b"A small stand-in.\n" * 40),
        ("ILSVRC2012_devkit_t12/data/meta.mat", meta(True)),
        ("ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
         "".join(f"{number}\n" for number in TRUTH).encode()),
    ]:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
with open("devkit.tar.gz", "wb") as file:
    with gzip.GzipFile("devkit.tar", "wb", 9, file, mtime=0) as packed:
        packed.write(archive.getvalue())

# One file for each kind of block that deflate knows; `LabelTests` computes the same bytes.
for kind, level, strategy in [("stored", 0, zlib.Z_DEFAULT_STRATEGY), ("fixed", 9, zlib.Z_FIXED),
                              ("dynamic", 9, zlib.Z_DEFAULT_STRATEGY), ("repeats", 6, zlib.Z_RLE)]:
    data = bytes((i // 700 if kind == "repeats" else i * i // 7 % (256 if kind == "stored" else 23)) % 256
                 for i in range(3000))
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    with open(f"deflate-{kind}.zlib", "wb") as file:
        file.write(packer.compress(data) + packer.flush())
