"""The Steel surface tab, one photo and many."""

from __future__ import annotations

ENGLISH = {
    "steel_intro": "A small CNN names the defect on a close-up of hot-rolled steel: **crazing, "
    "inclusion, patches, pitted surface, rolled-in scale** or **scratches**. Photos that show "
    "none of these are recognised as such. The examples are rendered by this project.",
    "steel_photo": "Steel surface",
    "steel_prompt": "Click an example, or upload a close-up of a hot-rolled steel surface.",
    "steel_cam": "Evidence (Grad-CAM)",
    "steel_unknown": "Not one of these six",
    "steel_unknown_why": "This photo is unlike every steel surface the network was trained on "
    "({ood_score}× the limit). {nearest} comes closest, but do not rely on it.",
    "steel_why": "{certainty} ({confidence}), {margin} points ahead of {second}.",
    "steel_certain": "Almost certain",
    "steel_likely": "Likely",
    "steel_unsure": "Unsure",
    "steel_figures": "On {count} held-out NEU photos: accuracy {accuracy} %, macro F1 {f1}.",
    "steel_many_prompt": "Add close-ups of steel, a folder or a ZIP, then press <b>Classify "
    "all</b>.",
    "steel_classify_all": "Classify all",
    "steel_cam_alt": "The photo, with the evidence for the class in yellow",
    "steel_count": "{count} {name}",
    "steel_gallery": "Classes, least certain first",
    "steel_table": "Table, least certain first",
    "steel_failed": "<b>Not classified.</b> {why}",
    "head_class": "Class",
    "head_confidence": "Confidence",
    "head_second": "Second",
    "head_margin": "Margin",
}

CHINESE = {
    "steel_intro": "小型 CNN 识别热轧钢表面特写中的缺陷类别：**裂纹**（crazing）、"
    "**夹杂**（inclusion）、**斑块**（patches）、**麻点**（pitted surface）、"
    "**压入氧化铁皮**（rolled-in scale）或**划痕**（scratches）。与所学内容完全不同的照片会被单独"
    "指出。示例由本项目渲染，并非实拍。",
    "steel_photo": "钢材表面",
    "steel_prompt": "点击一个示例，或上传一张热轧钢表面的特写。",
    "steel_cam": "判定依据（Grad-CAM 热力图）",
    "steel_unknown": "不属于这六类",
    "steel_unknown_why": "这张照片与网络学过的所有钢材表面都不同（为上限的 {ood_score} 倍）。"
    "六类中最接近的是 {nearest}，请勿以此为准。",
    "steel_why": "{certainty}：在这六类中的概率为 {confidence}，比第二位 {second} 高 "
    "{margin} 个百分点。",
    "steel_certain": "几乎确定",
    "steel_likely": "可能性较大",
    "steel_unsure": "不确定",
    "steel_figures": "在 {count} 张留出的 NEU 照片上：正确率 {accuracy} %，宏平均 F1 {f1}。",
    "steel_many_prompt": "添加钢材表面特写、文件夹或 ZIP，然后点击<b>全部分类</b>。",
    "steel_classify_all": "全部分类",
    "steel_cam_alt": "照片，黄色为判定类别所依据的区域",
    "steel_count": "{name} {count}",
    "steel_gallery": "分类结果，最不确定的在前",
    "steel_table": "表格，最不确定的在前",
    "steel_failed": "<b>未分类。</b>{why}",
    "head_class": "类别",
    "head_confidence": "置信度",
    "head_second": "第二位",
    "head_margin": "领先幅度",
}
