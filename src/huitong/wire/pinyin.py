"""How hanzi are read and pinyin is written: readings of characters and surnames, spellings of ü, syllables of a word.

Readings of single characters come from pypinyin's dictionary; readings of surnames that differ from the character's
usual one, and surnames of two characters, from the tables below.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

#: Readings of a character beyond these are of classical texts only.
_READINGS = 3

#: Surnames read otherwise than the character usually is, most used reading first; where usage is divided (翟, 盖, 牟)
#: both. Compiled by hand after the entries marked 姓 in 现代汉语词典; compared with the surname table of the project
#: overtrue/pinyin (MIT), with which it agrees in every surname that both have.
SURNAME_READINGS: dict[str, tuple[str, ...]] = {
    "万俟": ("mo qi",), "尉迟": ("yu chi",), "长孙": ("zhang sun",), "单于": ("chan yu",), "澹台": ("tan tai",),
    "令狐": ("ling hu",), "宰父": ("zai fu",), "亓官": ("qi guan",), "鲜于": ("xian yu",), "夹谷": ("jia gu",),
    "单": ("shan",), "曾": ("zeng",), "仇": ("qiu",), "解": ("xie",), "查": ("zha",), "区": ("ou",), "朴": ("piao",),
    "任": ("ren",), "华": ("hua",), "乐": ("yue", "le"), "盖": ("ge", "gai"), "缪": ("miao",), "翟": ("zhai", "di"),
    "覃": ("qin", "tan"), "冼": ("xian",), "洗": ("xian",), "种": ("chong",), "秘": ("bi",), "折": ("she",),
    "黑": ("he", "hei"), "员": ("yun",), "繁": ("po",), "逄": ("pang",), "宓": ("mi", "fu"), "晁": ("chao",),
    "祭": ("zhai",), "牟": ("mou", "mu"), "那": ("na",), "葛": ("ge",), "隗": ("wei", "kui"), "郇": ("xun", "huan"),
    "召": ("shao",), "谌": ("chen", "shen"), "莘": ("shen", "xin"), "殷": ("yin",), "郗": ("chi", "xi"),
    "宁": ("ning",), "纪": ("ji",), "燕": ("yan",), "隽": ("juan",), "车": ("che",), "盛": ("sheng",), "阚": ("kan",),
    "瞿": ("qu",), "柏": ("bai",), "贾": ("jia",), "石": ("shi",), "沈": ("shen",), "粘": ("nian",),
    "费": ("fei", "bi"),
    "乜": ("nie",), "佴": ("nai",), "厍": ("she",), "仉": ("zhang",), "褚": ("chu",), "句": ("gou",), "呙": ("guo",),
    "相": ("xiang",), "曲": ("qu",), "颉": ("xie",), "谷": ("gu",), "尉": ("wei",), "重": ("chong",), "干": ("gan",),
    "於": ("yu",), "藏": ("zang",), "叶": ("ye",), "陆": ("lu",), "俞": ("yu",), "应": ("ying",), "卜": ("bu",),
    "都": ("du",), "能": ("nai",), "薄": ("bo",), "蔚": ("yu", "wei"), "贲": ("ben",), "訾": ("zi",),
    "贠": ("yun",), "过": ("guo",), "六": ("lu",), "幺": ("yao",), "不": ("fou",), "扎": ("za",), "浣": ("wan",),
}  # fmt: skip

#: Surnames of two characters, so that 欧阳娜 without a caret is 欧阳 + 娜. Source: 百家姓 and 现代汉语词典.
_COMPOUND_SURNAMES = """
    万俟 司马 上官 欧阳 夏侯 诸葛 闻人 东方 赫连 皇甫 尉迟 公羊 澹台 公冶 宗政 濮阳 淳于 单于 太叔 申屠 公孙 仲孙
    轩辕 令狐 钟离 宇文 长孙 慕容 鲜于 闾丘 司徒 司空 亓官 司寇 子车 颛孙 端木 巫马 公西 漆雕 乐正 壤驷 公良 拓跋
    夹谷 宰父 谷梁 段干 百里 东郭 南门 呼延 羊舌 微生 梁丘 左丘 东门 西门 南宫 第五 独孤 完颜 纳兰 耶律 歐陽 諸葛
    司馬 聞人 東方 赫連 公孫 軒轅 鍾離 長孫 鮮于 尉遲 單于 東郭 南門
"""
COMPOUND_SURNAMES = frozenset(_COMPOUND_SURNAMES.split())

#: Every syllable of Hanyu Pinyin without tones (GB/T 16159, 汉语拼音方案); ü after l and n is in `_UMLAUT`.
_SYLLABLES = """
    a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca cai can cang cao ce cen ceng
    cha chai chan chang chao che chen cheng chi chong chou chu chua chuai chuan chuang chui chun chuo ci cong cou cu
    cuan cui cun cuo da dai dan dang dao de dei den deng di dia dian diao die ding diu dong dou du duan dui dun duo
    e ei en eng er fa fan fang fei fen feng fo fou fu ga gai gan gang gao ge gei gen geng gong gou gu gua guai guan
    guang gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua huai huan huang hui hun huo ji jia jian
    jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan kang kao ke kei ken keng kong kou ku kua kuai kuan
    kuang kui kun kuo la lai lan lang lao le lei leng li lia lian liang liao lie lin ling liu lo long lou lu luan
    lun luo ma mai man mang mao me mei men meng mi mian miao mie min ming miu mo mou mu na nai nan nang nao ne nei
    nen neng ni nian niang niao nie nin ning niu nong nou nu nuan nuo o ou pa pai pan pang pao pei pen peng pi pian
    piao pie pin ping po pou pu qi qia qian qiang qiao qie qin qing qiong qiu qu quan que qun ran rang rao re ren
    reng ri rong rou ru ruan rui run ruo sa sai san sang sao se sen seng sha shai shan shang shao she shei shen
    sheng shi shou shu shua shuai shuan shuang shui shun shuo si song sou su suan sui sun suo ta tai tan tang tao te
    teng ti tian tiao tie ting tong tou tu tuan tui tun tuo wa wai wan wang wei wen weng wo wu xi xia xian xiang
    xiao xie xin xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you yu yuan yue yun za zai
    zan zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhei zhen zheng zhi zhong zhou zhu zhua zhuai zhuan
    zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo
"""
SYLLABLES = frozenset(_SYLLABLES.split())

#: Ways to write lü, nü, lüe, nüe: v as typed, u with the dots lost, yu as in passports (GB/T 28039-2011).
_UMLAUT: dict[str, tuple[str, ...]] = {
    written: ways
    for ways in (("lv", "lu", "lyu"), ("nv", "nu", "nyu"), ("lve", "lue", "lyue"), ("nve", "nue", "nyue"))
    for written in ways
    if written not in ("lu", "nu")  # these are syllables of their own: 陆 is not 吕
}

_TONES = dict.fromkeys(map(ord, "\u0300\u0301\u0302\u0304\u030c"))
_LONGEST = 6  # letters of a syllable: zhuang


def spellings(syllable: str) -> tuple[str, ...]:
    """The ways a syllable is written: `("lv", "lu", "lyu")` for lü, else itself alone."""
    return _UMLAUT.get(syllable, (syllable,))


@cache
def _dictionary() -> dict[int, str]:
    from pypinyin.pinyin_dict import pinyin_dict  # takes 0.2 s, which only Chinese names need

    return dict(pinyin_dict)


@lru_cache(maxsize=8192)
def readings(hanzi: str) -> tuple[str, ...]:
    """The readings of one character without tones, most used first; empty if it has none. ü is `v`."""
    toned = _dictionary().get(ord(hanzi), "")
    plain = (_plain(reading) for reading in toned.split(",") if reading)
    return tuple(dict.fromkeys(plain))[:_READINGS]


def without_umlaut(syllable: str) -> str:
    """lü and nü in any spelling as lu and nu, as systems write them that lose the dots: for comparing."""
    return spellings(syllable)[1] if syllable in _UMLAUT else syllable


@lru_cache(maxsize=8192)
def toned(hanzi: str) -> str:
    """The most used reading of one character with its tone mark; empty if it has none."""
    return _dictionary().get(ord(hanzi), "").split(",")[0]


def _plain(toned: str) -> str:
    letters = unicodedata.normalize("NFD", toned).translate(_TONES)
    return letters.replace("u\u0308", "v").replace("\u0308", "")


def surname_length(hanzi: str) -> int:
    """How many leading characters of a full name are the surname."""
    return 2 if len(hanzi) > 2 and hanzi[:2] in COMPOUND_SURNAMES else 1


def surname_readings(surname: str) -> tuple[tuple[str, ...], ...]:
    """For each character of the surname its readings: those it has as a surname, then the usual one."""
    usual = [readings(one)[:1] for one in surname]
    special = SURNAME_READINGS.get(surname, ())
    for place, ways in enumerate(zip(*(way.split() for way in special), strict=True)):
        usual[place] = tuple(dict.fromkeys((*ways, *usual[place])))
    return tuple(usual)


@lru_cache(maxsize=4096)
def segmentations(word: str, limit: int = 3) -> tuple[tuple[str, ...], ...]:
    """The ways to cut a Latin word into pinyin syllables, fewest first, at most `limit`; empty if it is none.

    >>> segmentations("xian")
    (('xian',), ('xi', 'an'))
    """
    ways: list[list[tuple[str, ...]]] = [[()]]
    for end in range(1, min(len(word), 24) + 1):
        here = [
            (*way, word[start:end])
            for start in range(max(0, end - _LONGEST), end)
            if word[start:end] in SYLLABLES or word[start:end] in _UMLAUT
            for way in ways[start]
        ]
        ways.append(sorted(here, key=len)[:limit])
    return tuple(ways[-1]) if word and len(ways) == len(word) + 1 else ()
