"""The tab "Your product"."""

from __future__ import annotations

ENGLISH = {
    "product_intro": "Teach a detector **your own part** from good photos alone: 10 to 50, taken "
    "the way you will take the others (same place, same background, same light). It takes seconds, "
    "needs no defects, and is yours: only this page can use it, it is gone when you close the "
    "page, and you can download it.",
    "product_limits": "**What it cannot do.** It tells what *looks* unlike the good photos, so it "
    "misses what a photo of 256×256 pixels does not show (hairline cracks, a wrong size), calls a "
    "new but harmless look defective, and knows nothing of parts it saw at other angles or on "
    "other backgrounds. The false-alarm figure is a forecast from your good photos; check it on "
    "new ones.",
    "product_name": "What is it called?",
    "product_name_value": "my part",
    "product_files": "Good photos (up to {most})",
    "product_teach": "Teach",
    "product_load": "Load a detector",
    "product_leave_out": "Leave out",
    "product_again": "Teach again without the ticked",
    "product_download": "Download the detector",
    "product_photo": "A photo to inspect",
    "product_overlay_alt": "The photo with unusual places coloured",
    "product_many": "Photos to inspect (up to {most})",
    "product_teaching": "Teaching",
    "product_views": "views",
    "product_untaught": "Nothing taught yet",
    "product_untaught_why": "Add good photos, or load a detector you downloaded.",
    "product_not_done": "Not done",
    "product_not_inspected": "**Not inspected.** {why}",
    "product_count": "**{count} of {total}** photos called defective.",
    "product_unread": " {count} could not be read; the CSV says why.",
    "product_photos_one": "{count} photo",
    "product_photos": "{count} photos",
    "product_taught": "Taught {name} in {seconds} s from {photos}",
    "product_loaded": "Loaded {name}, taught from {photos}",
    "product_promise": "Expect about 1 false alarm in {photos} good photos at the default "
    "threshold.",
    "product_more": "and {count} more",
    "product_odd": "Please check these photos:",
    "product_odd_why": "While they are in, what looks like them passes as normal, and the limit is "
    "set with them. Unless they are good, tick them below and teach again.",
    "product_none_odd": "No photo stands out among them.",
    "product_numbers": "Score <b>{score}</b> · threshold {limit}",
    "product_unfamiliar_after": "{text} Is this a photo of the kind the model was trained on?",
}

CHINESE = {
    "product_intro": "只用良品照片，就能教会检测器识别**您自己的零件**：10 至 50 张，拍摄方式与日后"
    "检测时一致（同一位置、同一背景、同一光照）。只需数秒，不需要缺陷样品；检测器归您所有："
    "仅本页面可用，关闭页面即删除，也可以下载保存。",
    "product_limits": "**它做不到的事**：它只能指出*看起来*与良品照片不同之处，因此会漏检 256×256 "
    "像素的照片上显示不出的缺陷（发丝裂纹、尺寸不符），会把新出现但无害的外观判为缺陷，"
    "对其他角度或其他背景下的零件一无所知。误报率是根据您的良品照片作出的预测，请用新照片验证。",
    "product_name": "产品名称",
    "product_name_value": "我的零件",
    "product_files": "良品照片（最多 {most} 张）",
    "product_teach": "开始学习",
    "product_load": "载入检测器",
    "product_leave_out": "排除",
    "product_again": "排除勾选的照片后重新学习",
    "product_download": "下载检测器",
    "product_photo": "待检测的照片",
    "product_overlay_alt": "照片，异常处已着色",
    "product_many": "待检测的照片（最多 {most} 张）",
    "product_teaching": "正在学习",
    "product_views": "个视图",
    "product_untaught": "尚未学习",
    "product_untaught_why": "请添加良品照片，或载入您下载过的检测器。",
    "product_not_done": "未完成",
    "product_not_inspected": "**未检测**：{why}",
    "product_count": "**{total} 张照片中有 {count} 张**判为有缺陷。",
    "product_unread": "另有 {count} 张无法读取，原因见 CSV。",
    "product_photos_one": "{count} 张照片",
    "product_photos": "{count} 张照片",
    "product_taught": "已用 {photos}学会 {name}，用时 {seconds} 秒",
    "product_loaded": "已载入 {name}，由 {photos}学习而成",
    "product_promise": "默认阈值下，预计每 {photos} 张良品照片约有 1 次误报。",
    "product_more": "另有 {count} 张",
    "product_odd": "请检查以下照片：",
    "product_odd_why": "只要它们在内，与其相似的照片都会被视为正常，正常上限也会受其影响。"
    "如果它们不是良品，请在下方勾选并重新学习。",
    "product_none_odd": "没有明显异常的照片。",
    "product_numbers": "得分 <b>{score}</b> · 阈值 {limit}",
    "product_unfamiliar_after": "{text}这张照片是否与训练时的照片属于同一类？",
}
