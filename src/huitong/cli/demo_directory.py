"""The directory of the demo: the two hospitals and what belongs to them. Names, numbers and people are made up."""

# ruff: noqa: E501 - a line of a CSV file is one line

from __future__ import annotations

from huitong.app import load_directory
from huitong.base.settings import Settings

FILES = {
    "机构.csv": """机构代码,机构名称,英文名称,等级,行政区划代码,医共体,统一社会信用代码,上级机构,地址,电话
TAIYUAN,太原市中心医院,Taiyuan Central Hospital,三级甲等,140107,太原市医疗联合体,12140100MB0000010B,,太原市杏花岭区演示路 1 号,0351-0000001
YUNCHENG,运城市人民医院,Yuncheng People's Hospital,三级乙等,140802,运城市盐湖区医共体,12140800MB0000020G,,运城市盐湖区演示街 2 号,0359-0000002
YC_XIECHI,解池镇卫生院,Xiechi Township Health Centre,乡镇卫生院,140802,运城市盐湖区医共体,,YUNCHENG,运城市盐湖区解池镇,
YC_DONGCUN,东村卫生室,Dongcun Village Clinic,村卫生室,140802,运城市盐湖区医共体,,YC_XIECHI,运城市盐湖区解池镇东村,
""",
    "科室.csv": """机构代码,科室代码,科室名称,英文名称,位置,电话
TAIYUAN,RAD,放射科,Radiology,医技楼 1 层,0351-0000101
TAIYUAN,US,超声科,Ultrasound,医技楼 2 层,
TAIYUAN,ECG,心电图室,ECG,门诊楼 3 层,
TAIYUAN,ORTHO,骨科,Orthopaedics,住院楼 8 层,
YUNCHENG,RAD,医学影像科,Medical Imaging,医技楼 1 层,0359-0000201
YUNCHENG,ENDO,内镜中心,Endoscopy,门诊楼 4 层,
YUNCHENG,LAB,检验科,Laboratory,医技楼 3 层,
YC_XIECHI,GP,全科门诊,General practice,,
""",
    "人员.csv": """人员代码,姓名,拼音,性别,执业证书编码
D1001,李明远,Li Mingyuan,男,141140100000001
D1002,张晓兰,Zhang Xiaolan,女,141140100000002
T1003,郭建军,Guo Jianjun,男,
D2001,薛文静,Xue Wenjing,女,141140800000001
D2002,卫国强,Wei Guoqiang,男,141140800000002
""",
    "任职.csv": """人员代码,机构代码,科室代码,角色,职称,专业,起始日期,截止日期
D1001,TAIYUAN,RAD,医师,主任医师,放射诊断,2015-07-01,
D1002,TAIYUAN,US,医师,副主任医师,超声诊断,2018-03-01,
T1003,TAIYUAN,RAD,技师,主管技师,CT 检查技术,2012-09-01,
D2001,YUNCHENG,RAD,医师,主治医师,放射诊断,2019-08-01,
D2002,YC_XIECHI,GP,医师,主治医师,全科医学,2021-01-01,
""",
    "接入点.csv": """机构代码,接入点代码,接入方式,接入点名称,地址,AE标题,网段,HL7应用,HL7机构
TAIYUAN,PACS,DICOM（DIMSE）,影像归档系统,,TY_PACS,127.0.0.0/8 ::1/128,,
TAIYUAN,HIS,HL7 v2（MLLP）,医院信息系统,mllp://127.0.0.1:2575,,127.0.0.0/8 ::1/128,TY_HIS,TAIYUAN
YUNCHENG,CT1,DICOM（DIMSE）,CT 1 号机,,YC_CT1,127.0.0.0/8 ::1/128,,
YUNCHENG,HIS,HL7 v2（MLLP）,医院信息系统,mllp://127.0.0.1:2575,,127.0.0.0/8 ::1/128,YC_HIS,YUNCHENG
YUNCHENG,FHIR,FHIR,FHIR 接口,https://fhir.yuncheng.example/r4,,,,
""",
    "质控合格证.csv": """机构代码,项目代码,项目名称,级别,起始日期,截止日期,结果,证书编号,发证机构
TAIYUAN,CT-HEAD,头颅 CT 平扫,省级,2026-01-01,2026-12-31,合格,SX-QC-2026-0001,山西省影像质控中心（演示）
TAIYUAN,DR-CHEST,胸部 DR,国家级,2026-01-01,2027-12-31,合格,CN-QC-2026-0001,国家影像质控中心（演示）
TAIYUAN,US-ABD,腹部超声,市级,2025-01-01,2025-12-31,合格,TY-QC-2025-0007,太原市超声质控中心（演示）
YUNCHENG,CT-HEAD,头颅 CT 平扫,市级,2026-03-01,2027-02-28,合格,YC-QC-2026-0003,运城市影像质控中心（演示）
YUNCHENG,DR-CHEST,胸部 DR,省级,2026-01-01,2026-12-31,不合格,,山西省影像质控中心（演示）
""",
}


def load_demo_directory(settings: Settings) -> None:
    """What is not there yet is loaded; a second start changes nothing and leaves no reports."""
    for file, text in FILES.items():
        data = text.encode()
        if not load_directory(settings, file, data, None, dry_run=True).changes_nothing:
            load_directory(settings, file, data, None, dry_run=False)
