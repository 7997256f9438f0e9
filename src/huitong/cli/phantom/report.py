"""The report of the phantom's CT as an encapsulated PDF: a page written by hand, its text set as a picture.

Where the machine has no Chinese font, the text is given to the reader as characters of a predefined CJK font instead
(ISO 32000-1, 9.7.5.2), for which viewers bring their own glyphs.
"""

from __future__ import annotations

import io
import re
import zlib
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from huitong.cli.phantom import ct
from huitong.cli.phantom.header import TAIYUAN, code, dataset, part10, patient_module, study_module, uid

#: Where Linux, macOS and Windows keep fonts with simplified Chinese.
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
#: A4 in points, and dots a point of the picture.
PAGE_PT, DOTS = (595, 842), 3

#: (left edge pt, from the top pt, size pt, text)
LINES: tuple[tuple[int, int, int, str], ...] = (
    (188, 58, 20, "太原市中心医院"),
    (200, 88, 15, "CT 检查诊断报告单"),
    (56, 132, 11, "姓名：王晓东    性别：男    年龄：58岁    住院号：TY20260317"),
    (56, 152, 11, "检查号：CT20260317001    检查日期：2026-03-17    科室：呼吸内科"),
    (56, 172, 11, "检查部位：胸部+上腹部    检查方法：CT平扫+增强（碘海醇 350，80 ml，3 ml/s）"),
    (56, 216, 13, "影像所见"),
    (56, 242, 11, "胸廓对称，气管居中。右肺上叶见一实性结节，边界清，直径约 9 mm，增强扫描"),
    (56, 262, 11, "轻度强化；余双肺纹理清晰，未见明确实变影。肺门及纵隔未见肿大淋巴结。"),
    (56, 282, 11, "心脏大小形态未见异常，主动脉走行自然。双侧胸腔未见积液。"),
    (56, 302, 11, "肝脏大小形态正常，肝右叶见一类圆形无强化低密度影，直径约 18 mm。胆囊、"),
    (56, 322, 11, "胰腺、脾脏未见异常。右肾下部见囊性低密度影，直径约 22 mm。双肾强化均匀。"),
    (56, 366, 13, "诊断意见"),
    (56, 392, 11, "1. 右肺上叶实性结节（约 9 mm），建议 3 个月后复查。"),
    (56, 412, 11, "2. 肝右叶囊肿；右肾囊肿。"),
    (56, 480, 11, "报告医师：陈静        审核医师：李国华        报告时间：2026-03-17 11:05"),
    (56, 760, 9, "本报告由汇通模体生成，用于演示，不涉及真实患者。 HUITONG PHANTOM, not a real patient."),
)
RULES = (112, 196, 460, 500)


def report_file(seed: int = 1) -> bytes:
    """The report as a Part 10 file in the CT's study, SOP class Encapsulated PDF Storage (PS3.3 A.45.1)."""
    date, time = ct.STUDY[0], "110500.000"
    pdf = report_pdf()
    return part10(
        dataset(
            **patient_module(ct.PATIENT, TAIYUAN),
            **study_module(seed, "CT", *ct.STUDY, ct.DESCRIPTION, TAIYUAN),
            SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
            # Its bytes depend on the fonts of the machine, so its name must too.
            SOPInstanceUID=uid("DOC", seed, zlib.crc32(pdf)),
            SeriesInstanceUID=uid("DOC", seed, "series"),
            Modality="DOC",
            ConversionType="WSD",
            SeriesNumber=99,
            SeriesDate=date,
            SeriesTime=time,
            SeriesDescription="诊断报告",
            InstanceNumber=1,
            ContentDate=date,
            ContentTime=time,
            AcquisitionDateTime=f"{date}{time}+0800",
            BurnedInAnnotation="YES",
            DocumentTitle="CT 检查诊断报告单",
            ConceptNameCodeSequence=code("18748-4", "LN", "Diagnostic imaging study"),
            MIMETypeOfEncapsulatedDocument="application/pdf",
            EncapsulatedDocument=pdf + b"\0" * (len(pdf) % 2),
            EncapsulatedDocumentLength=len(pdf),
        )
    )


@cache
def report_pdf() -> bytes:
    """The report as a PDF of one A4 page."""
    font = next((path for path in FONTS if Path(path).exists()), None)
    return _pdf(_typed() if font is None else _pictured(font))


def _pictured(font: str) -> dict[int, bytes]:
    """Page content and resources with the text as a picture, a bit a dot, losslessly packed."""
    width, height = (points * DOTS for points in PAGE_PT)
    page = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(page)
    for left, top, size, text in LINES:
        draw.text(
            (left * DOTS, top * DOTS), text, 0, ImageFont.truetype(font, size * DOTS, index=_face(font)), anchor="ls"
        )
    for top in RULES:
        draw.line([(56 * DOTS, top * DOTS), ((PAGE_PT[0] - 56) * DOTS, top * DOTS)], 120, DOTS)
    grey = zlib.compress(page.tobytes(), 9)
    picture = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8" % (
        width,
        height,
    )
    content = b"q %d 0 0 %d 0 0 cm /Page Do Q" % PAGE_PT
    return {
        4: _stream(b"", content),
        5: b"<</XObject<</Page 6 0 R>>>>",
        6: _stream(picture + b"/Filter/FlateDecode", grey),
    }


def _face(font: str) -> int:
    """The simplified Chinese face of a collection: the third in Noto's."""
    return 2 if "NotoSansCJK" in font else 0


def _typed() -> dict[int, bytes]:
    """Page content and resources with the text as characters of a font that readers have."""
    parts = [b"0.5 w"]
    for left, top, size, text in LINES:
        runs = b" ".join(_run(run, size) for run in re.findall(r"[ -~]+|[^ -~]+", text))
        parts.append(b"BT %d %d Td %s ET" % (left, PAGE_PT[1] - top, runs))
    parts += [b"56 %d m %d %d l S" % (PAGE_PT[1] - top, PAGE_PT[0] - 56, PAGE_PT[1] - top) for top in RULES]
    return {
        4: _stream(b"", b"\n".join(parts)),
        5: b"<</Font<</F 6 0 R/L<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>",
        6: b"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UCS2-H/DescendantFonts[7 0 R]>>",
        7: b"<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo"
        b"<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/FontDescriptor 8 0 R>>",
        8: b"<</Type/FontDescriptor/FontName/STSong-Light/Flags 6/FontBBox[-25 -254 1000 880]/ItalicAngle 0"
        b"/Ascent 880/Descent -120/CapHeight 880/StemV 93>>",
    }


def _run(text: str, size: int) -> bytes:
    """Text operators for letters and digits, or for hanzi."""
    if text.isascii():
        return b"/L %d Tf <%s> Tj" % (size, text.encode().hex().encode())
    return b"/F %d Tf <%s> Tj" % (size, text.encode("utf-16-be").hex().encode())


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(data), data)


def _pdf(objects: dict[int, bytes]) -> bytes:
    """A PDF 1.4 file of one page from its content (4), resources (5) and what they refer to (ISO 32000-1, 7.5)."""
    everything = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents 4 0 R/Resources 5 0 R>>" % PAGE_PT,
        **objects,
    }
    written = io.BytesIO()
    written.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in everything.items():
        places.append(written.tell())
        written.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = written.tell()
    written.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
    written.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    written.write(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start))
    return written.getvalue()
