"""The interface's texts in English and Chinese.

Gradio's own components take them by key through `LANGUAGES`; the page's scripts get the same
tables. `{name}` is filled in by the page.
"""

from __future__ import annotations

import gradio as gr

ENGLISH = {
    "masthead": "# Defect detection\nAutoencoders that only ever saw good parts show where a photo "
    "differs from them.",
    "tab_inspect": "Inspect",
    "tab_steel": "Steel surface",
    "tab_batch": "Batch",
    "tab_product": "Your product",
    "tab_results": "Results",
    "tab_api": "API",
    "category": "Category",
    "model": "Model",
    "photo": "Photo",
    "examples": "Examples (rendered)",
    "origin": "Where these weights come from",
    "compare": "Compare all models on this photo",
    "compare_hint": "Each model is judged at the same multiple of its own normal limit; the "
    "threshold slider moves them all.",
    "prompt_example": "Click an example, or upload a photo of the kind described.",
    "prompt_upload": "Upload a photo of the kind described.",
    "no_photo": "No photo yet",
    "not_inspected": "Not inspected",
    "defective": "Defective",
    "looks_normal": "Looks normal",
    "normal_limit": "normal limit",
    "threshold_at": "threshold {limit} ×",
    "gauge": "Score {score}, threshold {limit} times the normal limit",
    "gauge_limit": "{limit} times the normal limit",
    "numbers": "Score {score} · threshold {limit} · {model}, {category} · thesis score {thesis} "
    "(normal up to {thesis_limit})",
    "unfamiliar": "This does not look like a photo of {category} at all: a large part of it lies "
    "over the normal limit. Check the category and how the photo was taken before you trust the "
    "verdict.",
    "verdict": "{word}: {sentence}",
    "sentence_normal": "its strangest place reaches {score} × the normal limit.",
    "sentence_one": "{score} × the normal limit, largest region {where}, {area} of the photo.",
    "sentence_many": "{score} × the normal limit, largest region {where}, {area} of "
    "the photo ({count} regions, {all} in all).",
    "under_percent": "under 0.1 %",
    "at_upper_left": "upper left",
    "at_top": "top",
    "at_upper_right": "upper right",
    "at_left": "left",
    "at_centre": "centre",
    "at_right": "right",
    "at_lower_left": "lower left",
    "at_bottom": "bottom",
    "at_lower_right": "lower right",
    "view_overlay": "Overlay",
    "view_map": "Anomaly map",
    "view_reconstruction": "Reconstruction",
    "view_error": "Error map",
    "stage_empty": "The photo appears here with its unusual places coloured.",
    "legend_map": "× the normal limit",
    "legend_error": "Squared error, × its normal limit",
    "threshold": "Threshold (× normal limit)",
    "threshold_hint": "99 of 100 normal photos stay under 1.0.",
    "preset_few": "Few false alarms",
    "preset_balanced": "Balanced",
    "preset_most": "Miss nothing",
    "preset_few_hint": "Expected to stop about 1 good part in 1000, judged from held-out good "
    "photos alone.",
    "preset_balanced_hint": "The normal limit: expected to stop about 1 good part in 100, judged "
    "from held-out good photos alone.",
    "preset_most_hint": "Expected to stop about 1 good part in 10, judged from held-out good "
    "photos alone. Faint defects may still pass.",
    "wipe": "Photo ◂ ▸ view",
    "opacity": "Opacity",
    "colours": "Colours",
    "colours_heat": "Heat",
    "regions": "Regions over the threshold",
    "region": "Position",
    "region_area": "Share of the photo",
    "region_peak": "Peak",
    "regions_none": "Nothing reaches the threshold.",
    "regions_wait": "Listed once there is a photo, the largest first.",
    "regions_more": "and {count} smaller ones",
    "plot": "Among the stored scores",
    "plot_axis": "Score (× normal limit)",
    "plot_held_out": "good, held out",
    "plot_good": "good, test",
    "plot_defective": "defective, test",
    "plot_label": "Stored scores as bars; the threshold stands at {limit}.",
    "plot_photo": "This photo: {score}.",
    "copy_link": "Copy link",
    "copied": "Copied: the link opens this photo, model and threshold.",
    "copied_without_photo": "Copied: the link opens this model and threshold. An uploaded photo "
    "is not part of it.",
    "save_picture": "Save picture",
    "history": "History of this browser",
    "history_clear": "Clear",
    "history_empty": "What you inspect is listed here, kept in this browser only.",
    "history_title": "{name}: score {score}, threshold {limit}",
    "cost_line": "At this limit {good} stopped and {defective} caught (counted on {counted} "
    "photos of good parts and {known} of defective ones).",
    "cost_line_good": "At this limit {good} stopped (counted on {counted} photos of good parts).",
    "cost_good": "about {about} of 100 good parts are",
    "cost_defective": "about {about} of 100 known defects are",
    "cost_none_good": "none of the {total} good parts are",
    "cost_none_defective": "none of the {total} known defects are",
    "cost_all_good": "all {total} good parts are",
    "cost_all_defective": "all {total} known defects are",
    "cost_held_out": "{count} held-out",
    "cost_test": "{count} test",
    "cost_and": " and ",
}

CHINESE = {
    "masthead": "# 缺陷检测\n只见过良品的自编码器，指出照片中与良品不同之处。",
    "tab_inspect": "检测",
    "tab_steel": "钢材表面",
    "tab_batch": "批量",
    "tab_product": "您的产品",
    "tab_results": "结果",
    "tab_api": "接口",
    "category": "产品类别",
    "model": "模型",
    "photo": "照片",
    "examples": "示例（渲染图）",
    "origin": "权重的来源",
    "compare": "用所有模型比较这张照片",
    "compare_hint": "每个模型都按各自正常上限的同一倍数判定；阈值滑块同时作用于所有模型。",
    "prompt_example": "点击一个示例，或上传一张符合说明的照片。",
    "prompt_upload": "请上传一张符合说明的照片。",
    "no_photo": "尚无照片",
    "not_inspected": "未检测",
    "defective": "有缺陷",
    "looks_normal": "看起来正常",
    "normal_limit": "正常上限",
    "threshold_at": "阈值 {limit} ×",
    "gauge": "得分 {score}，阈值为正常上限的 {limit} 倍",
    "gauge_limit": "正常上限的 {limit} 倍",
    "numbers": "得分 {score} · 阈值 {limit} · {model}，{category} · 论文得分 {thesis}"
    "（正常不超过 {thesis_limit}）",
    "unfamiliar": "这张照片完全不像 {category}：大部分区域超出正常上限。"
    "请先检查类别和拍摄方式，再参考判定结果。",
    "verdict": "{word}：{sentence}",
    "sentence_normal": "最异常处为正常上限的 {score} 倍。",
    "sentence_one": "达到正常上限的 {score} 倍，最大区域位于{where}，占照片的 {area}。",
    "sentence_many": "达到正常上限的 {score} 倍，最大区域位于{where}，占照片的 {area}"
    "（共 {count} 个区域，合计 {all}）。",
    "under_percent": "不到 0.1 %",
    "at_upper_left": "左上",
    "at_top": "上方",
    "at_upper_right": "右上",
    "at_left": "左侧",
    "at_centre": "中央",
    "at_right": "右侧",
    "at_lower_left": "左下",
    "at_bottom": "下方",
    "at_lower_right": "右下",
    "view_overlay": "叠加图",
    "view_map": "异常图",
    "view_reconstruction": "重建图",
    "view_error": "误差图",
    "stage_empty": "照片显示在这里，异常处会着色。",
    "legend_map": "正常上限的倍数",
    "legend_error": "平方误差，为其正常上限的倍数",
    "threshold": "阈值（正常上限的倍数）",
    "threshold_hint": "100 张正常照片中有 99 张低于 1.0。",
    "preset_few": "少误报",
    "preset_balanced": "均衡",
    "preset_most": "不漏检",
    "preset_few_hint": "预计每 1000 个良品误拦约 1 个；仅依据留出的良品照片得出。",
    "preset_balanced_hint": "即正常上限：预计每 100 个良品误拦约 1 个；仅依据留出的良品照片得出。",
    "preset_most_hint": "预计每 10 个良品误拦约 1 个；仅依据留出的良品照片得出。"
    "轻微缺陷仍可能漏过。",
    "wipe": "原图 ◂ ▸ 视图",
    "opacity": "不透明度",
    "colours": "配色",
    "colours_heat": "热力",
    "regions": "超过阈值的区域",
    "region": "位置",
    "region_area": "占照片比例",
    "region_peak": "峰值",
    "regions_none": "没有区域达到阈值。",
    "regions_wait": "有照片后在此列出，由大到小。",
    "regions_more": "另有 {count} 个较小的区域",
    "plot": "与已存得分比较",
    "plot_axis": "得分（正常上限的倍数）",
    "plot_held_out": "良品，留出",
    "plot_good": "良品，测试",
    "plot_defective": "缺陷品，测试",
    "plot_label": "柱形为已存得分；阈值为 {limit}。",
    "plot_photo": "这张照片：{score}。",
    "copy_link": "复制链接",
    "copied": "已复制：打开链接即可看到这张照片、模型和阈值。",
    "copied_without_photo": "已复制：链接包含模型和阈值，不包含上传的照片。",
    "save_picture": "保存图片",
    "history": "本浏览器的历史记录",
    "history_clear": "清除",
    "history_empty": "检测过的照片列在这里，仅保存在本浏览器中。",
    "history_title": "{name}：得分 {score}，阈值 {limit}",
    "cost_line": "在此阈值下，{good}被拦下，{defective}被检出"
    "（依据 {counted}良品照片和 {known} 张缺陷品照片统计）。",
    "cost_line_good": "在此阈值下，{good}被拦下（依据 {counted}良品照片统计）。",
    "cost_good": "每 100 个良品约有 {about} 个",
    "cost_defective": "每 100 个已知缺陷约有 {about} 个",
    "cost_none_good": "{total} 个良品均未",
    "cost_none_defective": "{total} 个已知缺陷均未",
    "cost_all_good": "全部 {total} 个良品",
    "cost_all_defective": "全部 {total} 个已知缺陷",
    "cost_held_out": "{count} 张留出的",
    "cost_test": "{count} 张测试用的",
    "cost_and": "和 ",
}

TEXTS = {"en": ENGLISH, "zh-CN": CHINESE}
LANGUAGES = gr.I18n(**TEXTS)


def label(key: str) -> str:
    """The text as a Gradio label, in the visitor's language.

    Raises:
        KeyError: there is no such text.
    """
    if key not in ENGLISH:
        raise KeyError(key)
    return LANGUAGES(key)  # type: ignore[return-value]  # Gradio takes it wherever it takes a str
