"""Makes troubles.tar in this folder, out of other fixtures: python make_troubles.py

Every trouble that images from the wild have shown, as members of one archive written by Python's tarfile.
"""
import io
import struct
import tarfile


def read(name):
    with open(name, "rb") as file:
        return file.read()


jpeg = read("codec-jpeg-progressive.jpg")
gray = read("codec-jpeg-gray.jpg")
frame = gray.index(b"\xff\xc0")
png = read("codec-gray.png")

with tarfile.open("troubles.tar", "w", format=tarfile.GNU_FORMAT) as tar:
    def add(name, data=b"", kind=tarfile.REGTYPE, target=""):
        member = tarfile.TarInfo(name)
        member.size, member.type, member.linkname = len(data), kind, target
        tar.addfile(member, io.BytesIO(data))

    add("png-named.JPEG", read("codec-rgba.png"))
    add("cmyk.JPEG", read("codec-jpeg-cmyk-adobe.jpg"))
    add("ycck.JPEG", read("codec-jpeg-ycck.jpg"))
    add("rotated-by-exif.JPEG", read("codec-jpeg-rotated-by-exif.jpg"))
    add("empty.JPEG")
    add("truncated.JPEG", gray[:-20])
    add("text.JPEG", b"<html>404</html>")
    add("huge-png.JPEG", png[:16] + struct.pack(">II", 100000, 100000) + png[24:])
    add("huge-jpeg.JPEG", gray[: frame + 5] + struct.pack(">HH", 65000, 65000) + gray[frame + 9:])
    add("twice.JPEG", gray)
    add("twice.JPEG", jpeg)
    add("../outside.JPEG", jpeg)
    add("/absolute.JPEG", jpeg)
    add("symbolic.JPEG", kind=tarfile.SYMTYPE, target="/etc/passwd")
    add("hard.JPEG", kind=tarfile.LNKTYPE, target="twice.JPEG")
    add("folder.JPEG", kind=tarfile.DIRTYPE)
    add("._fork.JPEG", b"\0\5\26\7")
    add("device.JPEG", kind=tarfile.CHRTYPE)
    add("long-" + "n" * 200 + ".JPEG", jpeg)
