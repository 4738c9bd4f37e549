"""The tab "Your product"."""

from __future__ import annotations

ENGLISH = {
    "product_intro": "Teach a detector **your own part** from 10 to 50 photos of good parts, taken "
    "the way you will take the others: same position, same background, same light. It takes "
    "seconds and needs no defects. The detector is yours: only this page can use it, it is deleted "
    "when you close the page, and you can download it.",
    "product_limits": "**What it cannot do.** It finds what *looks* different from the good "
    "photos. "
    "It misses what a photo of 256×256 pixels does not show (hairline cracks, a wrong size), flags "
    "new but harmless variations, and knows nothing about other angles or other backgrounds. The "
    "false-alarm rate is a forecast from your good photos; check it on new ones.",
    "product_name": "Name of the part",
    "product_name_value": "my part",
    "product_files": "Good photos (up to {most})",
    "product_teach": "Teach",
    "product_load": "Load a detector",
    "product_leave_out": "Leave out",
    "product_again": "Teach again without the ticked photos",
    "product_download": "Download the detector",
    "product_photo": "A photo to inspect",
    "product_batch_prompt": "Add photos, a folder or a ZIP, then press <b>Inspect all</b>.",
    "product_teaching": "Teaching",
    "product_views": "views",
    "product_empty": "No detector yet",
    "product_empty_why": "Add good photos, or load a detector you downloaded.",
    "product_failed": "That did not work",
    "product_photos_one": "{count} photo",
    "product_photos": "{count} photos",
    "product_learned": "{name} learned from {photos} in {seconds} s",
    "product_loaded": "{name} loaded, learned from {photos}",
    "product_forecast": "Expect about 1 false alarm in {photos} good photos at the default "
    "threshold.",
    "product_more": "and {count} more",
    "product_outliers": "Please check these photos:",
    "product_outliers_why": "As long as they are included, whatever looks like them passes as "
    "normal, and they raise the normal limit. If they are not good, tick them below and teach "
    "again.",
    "product_no_outliers": "No photo stands out.",
}

CHINESE = {
    "product_intro": "用 10 至 50 张良品照片，教会检测器识别**您自己的零件**：拍摄方式与日后检测"
    "时一致"
    "（同一位置、同一背景、同一光照）。只需数秒，不需要缺陷样品。检测器归您所有："
    "仅本页面可用，关闭页面即删除，也可以下载保存。",
    "product_limits": "**它做不到的事**：它只能指出*看起来*与良品照片不同之处。它会漏检 256×256 "
    "像素的照片上显示不出的缺陷（发丝裂纹、尺寸不符），会把新出现但无害的外观判为缺陷，"
    "对其他角度或其他背景一无所知。误报率是根据您的良品照片作出的预测，请用新照片验证。",
    "product_name": "零件名称",
    "product_name_value": "我的零件",
    "product_files": "良品照片（最多 {most} 张）",
    "product_teach": "开始学习",
    "product_load": "载入检测器",
    "product_leave_out": "排除",
    "product_again": "排除勾选的照片后重新学习",
    "product_download": "下载检测器",
    "product_photo": "待检测的照片",
    "product_batch_prompt": "添加照片、文件夹或 ZIP，然后点击<b>全部检测</b>。",
    "product_teaching": "正在学习",
    "product_views": "个视图",
    "product_empty": "尚无检测器",
    "product_empty_why": "请添加良品照片，或载入您下载过的检测器。",
    "product_failed": "未能完成",
    "product_photos_one": "{count} 张照片",
    "product_photos": "{count} 张照片",
    "product_learned": "已用 {photos}学会 {name}，用时 {seconds} 秒",
    "product_loaded": "已载入 {name}，由 {photos}学习而成",
    "product_forecast": "默认阈值下，预计每 {photos} 张良品照片约有 1 次误报。",
    "product_more": "另有 {count} 张",
    "product_outliers": "请检查以下照片：",
    "product_outliers_why": "只要它们在内，与其相似的照片都会被视为正常，正常上限也会因此升高。"
    "如果它们不是良品，请在下方勾选并重新学习。",
    "product_no_outliers": "没有明显异常的照片。",
}
