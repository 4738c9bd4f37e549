"""What the library says (its messages, and the headers of weights), in Chinese.

The library, the CLI and the API speak English. A message is found by its key; a phrase of a header,
or a category's description, by its text.
"""

from __future__ import annotations

KINDS = {
    "good": "良品",
    "crazing": "裂纹",
    "inclusion": "夹杂",
    "patches": "斑块",
    "pitted_surface": "麻点",
    "rolled-in_scale": "压入氧化铁皮",
    "scratches": "划痕",
    "scratch": "划痕",
    "corrosion": "腐蚀",
    "dent": "凹痕",
    "chip": "缺口",
    "contamination": "污染",
    "crack": "裂纹",
    "nick": "豁口",
    "rust": "锈蚀",
    "broken_thread": "断线",
    "pulled_thread": "抽丝",
    "stain": "污渍",
}
"""NEU's classes and the rendered kinds of defect, shown beside their own names."""

MESSAGES = {
    # inspection
    "threshold_not_positive": "阈值为 {threshold}；请使用大于 0 的数，例如 1.0。",
    "score_not_finite": "“{name}”的得分不是数值。检测器已损坏：请重新载入或重新学习。",
    # uploads and batches
    "not_uploaded": "请先上传照片：不读取服务器上的路径。",
    "upload_expired": "上传的文件已不存在。请重新添加照片。",
    "upload_not_a_file": "请以文件形式发送照片，而不是文字或网址。",
    "photo_not_sent": "没有照片。请以 `photo` 发送照片。",
    "no_photos": "尚无照片。请先添加照片。",
    "no_pictures": "从文件名看，这些文件都不是图片。",
    "too_many_photos": "一次提交了 {count} 张照片；最多接受 {most} 张。请分批，或使用不限数量的 "
    "`python -m defect inspect`。",
    # photos
    "photo_no_source": "需要一张照片，得到的是 {kind}。请给出路径、字节、PIL 图像或数组。",
    "photo_not_a_file": "“{name}”不是文件。请给出照片的路径。",
    "photo_missing": "没有文件“{name}”。请检查路径。",
    "photo_not_permitted": "无权读取“{name}”。请检查其权限。",
    "photo_bad_path": "这不是文件可以有的路径。请检查。",
    "photo_disk": "无法读取“{name}”。请检查路径和磁盘。",
    "photo_empty": "“{name}”是空文件（0 字节）。请重新保存或发送照片。",
    "photo_too_many_bytes": "“{name}”有 {size} MB；最多读取 {most} MB。请减小体积后再试，例如存"
    "为 JPEG。",
    "photo_damaged": "“{name}”不完整或已损坏。请重新保存或发送照片。",
    "photo_too_many_pixels": "“{name}”为 {width}×{height} 像素；最多读取 {megapixels} 百万像素，"
    "边长不超过 {side} 像素。请缩小或裁剪。",
    "photo_header_overloaded": "“{name}”的元数据或分段远多于照片所需。请用图片编辑器打开并重新保"
    "存。",
    "photo_not_a_picture": "“{name}”不是本程序能读取的图片。请使用 PNG、JPEG、BMP、WebP、TIFF、"
    "GIF、AVIF、JPEG 2000 或 PGM/PPM。",
    "photo_too_small": "“{name}”为 {width}×{height} 像素；每边至少需要 {least} 像素。请使用更大"
    "的照片。",
    "photo_too_long": "“{name}”为 {width}×{height} 像素，长宽比超过 {most} 倍。请裁剪到零件部分。",
    "photo_svg": "“{name}”是 SVG 矢量图，不是照片。请先导出为 PNG。",
    "photo_heif": "“{name}”是 HEIC 照片，读取它需要 pillow-heif 软件包。请安装，或将照片存为 "
    "JPEG。",
    "photo_too_slow": "“{name}”解码时间过长。请存为 JPEG 或 PNG。",
    "photo_bmp_run_lengths": "“{name}”是 {size} MB 的行程编码 BMP。请不压缩保存，或存为 PNG。",
    "photo_tiff_compression": "“{name}”是以此处无法读取的方式压缩的 TIFF（方法 {method}）。请用 "
    "LZW 或 Deflate 保存，或存为 PNG。",
    "photo_tiff_tiles": "“{name}”的图块为 {width}×{height} 像素，超出可读取的大小。请用较小的图"
    "块保存，或存为 PNG。",
    "photo_floats": "“{name}”为 32 位浮点图片。请存为每通道 8 位或 16 位。",
    "photo_beyond_depth": "“{name}”的数值超出 {depth} 位。请存为 8 位或 16 位。",
    "photo_beyond_16_bits": "“{name}”的数值超出 16 位。请存为 8 位或 16 位。",
    "bit_depth_out_of_range": "位深为 {depth}；请给出 8 至 16 的整数。",
    "bit_depth_exceeded": "高达 {highest} 的数值超出 {depth} 位的位深：较亮处已变为白色。",
    "bit_depth_suspected": "最大值为 65535 中的 {highest}。如果相机不足 16 位，请给出其位深。",
    "array_shape": "“{name}”是形状为 {shape} 的数组；应为 H×W、H×W×3 或 H×W×4。",
    "array_range": "“{name}”是数值从 {low} 到 {high} 的浮点数组；应为 0..1。请除以白色值，或给出"
    " uint8。",
    "array_type": "“{name}”是 {type} 数组；应为 uint8、uint16、bool 或 0..1 的浮点数。",
    "photo_animation": "动图：只使用了第一帧。",
    "photo_first_page": "共 {count} 页：只使用了第一页。",
    "photo_turned": "已按 EXIF 信息转正。",
    "photo_scaled": "{depth} 位图片已转换为 8 位。",
    "photo_32_bit_of_8": "32 位图片，数值为 8 位。",
    "photo_transparent": "透明部分已置于白色背景上。",
    "profile_converted": "已按照片的颜色配置转换为 sRGB。",
    "profile_ignored": "颜色配置已损坏，未使用：颜色可能有偏差。",
    "damaged_but_readable": "文件有缺失或损坏的部分：使用了可以读取的部分。",
    # archives
    "archive_damaged": "“{name}”不是 ZIP 压缩包，或已损坏。请重新打包照片。",
    "archive_entries": "“{name}”含 {count} 个文件和文件夹；最多读取 {most} 个。请拆分。",
    "archive_size": "“{name}”解压后有 {size} GB；最多读取 {most} GB。请拆分。",
    "archive_table": "“{name}”的目录过长；最多读取 {most} 个文件。请拆分。",
    "entry_gone": "“{name}”已不存在：其压缩包已更改或被删除。",
    "entry_damaged": "压缩包中的“{name}”已损坏。请重新打包。",
    "entry_is_archive": "“{name}”是压缩包中的压缩包。请先解压。",
    "entry_encrypted": "“{name}”有密码保护。请去掉密码重新打包。",
    "entry_compression": "“{name}”的压缩方式无法读取。请使用普通 ZIP 压缩（deflate）。",
    # photos that stand out among those a detector was taught from
    "outlier_unlike": "与其他照片不像：是别的产品，还是有大面积缺陷？",
    "outlier_defect": "有一处与其他照片不同：是否混入了缺陷品？",
    "outlier_darker": "比其他照片暗得多",
    "outlier_brighter": "比其他照片亮得多",
    "outlier_blurred": "与其他照片相比显得模糊",
    # taught and loaded detectors
    "no_detector_yet": "尚无检测器。请先让检测器学习，或载入检测器。",
    "detector_expired": "该检测器已不再保留（最后一次使用一小时后删除）。请重新学习，或载入您下"
    "载的文件。",
    "no_detector_file": "没有文件。请以 `detector` 发送检测器文件。",
    "detector_too_large": "“{name}”有 {size} MB，过大，不是检测器。",
    "not_a_detector": "“{name}”不是本应用能载入的检测器：{reason}。",
    "no_file": "没有文件“{name}”。请检查路径。",
    "teach_no_photos": "尚无照片。请添加 10 至 50 张良品照片后再试。",
    "teach_too_many": "一次提交了 {count} 张照片；最多接受 {most} 张。通常 10 至 50 张就够："
    "请选择能体现良品之间差异的照片。",
    "teach_none_usable": "这些照片都不能使用。{why}",
    "teach_all_left_out": "全部照片都已被排除。",
    "teach_one_photo": "一张照片难以体现良品之间的差异，容易误判。请多添加一些。",
    "teach_few_photos": "{count} 张照片难以体现良品之间的差异，容易误判。请多添加一些。",
    "teach_copy": "1 张照片与其他照片重复，已忽略。",
    "teach_copies": "{count} 张照片与其他照片重复，已忽略。",
    "teach_left_out": "已排除：{why}",
    "teach_left_out_more": "另有 {count} 张照片已排除。",
    "teach_shapes": "照片的长宽比不一；均已缩放为最常见的比例。",
    "teach_damaged": "“{name}”已损坏。",
    "teach_too_small": "“{name}”为 {width}×{height} 像素；学习要求每边至少 {least} 像素。",
    "teach_shows_nothing": "“{name}”没有内容：全黑、全白或只有一种颜色。",
    "teach_outliers_left_out": "有 {count} 张照片与其他照片相差过大，学习时未使用。",
    "teach_bit_depth": "照片的数值为 {depth} 位：学习和检测时都按此读取。",
    "teach_bit_depth_unknown": "没有高于 {highest}（满量程 65535）的数值。如果相机不足 16 位，"
    "请指定其位深，或提供至少 {fewest} 张照片以便判断。",
    "teach_bit_depths_differ": "各照片的最高值相差悬殊：一张为 {lowest}，另一张为 {highest}。"
    "它们是否来自同一台相机、位深相同？",
    "photos_show_nothing": "这些照片没有内容：全黑、全白或只有一种颜色。请使用产品的照片。",
    "photos_all_equal": "所有照片都相同。请只用其中一张学习，或添加不同的照片。",
    "memory_photo_count": "有 {count} 张照片；学习需要 1 至 {most} 张。",
    "stretched": "长宽比与学习所用的照片不同：已缩放为后者的比例。",
    "teach_backbone": "通过 {backbone} 学习：只有选用它的地方才能载入该文件。",
    # detectors
    "darker": "比训练照片暗：亮度已归一化，乘以 {gain}。",
    "brighter": "比训练照片亮：亮度已归一化，乘以 {gain}。",
    "unknown_model": "没有模型“{model}”。请选择以下之一：{models}。",
    "unknown_category": "没有类别“{category}”。请选择以下之一：{categories}。",
    "no_such_model": "没有模型“{model}”。请选择以下之一：{models}，或给出检测器文件。",
    "category_missing": "是哪个类别？请与模型 {model} 一起给出类别，例如 bottle。",
    "no_header": "此处没有 {category} 的 {model} 权重。",
    "autoencoder_weights_restore_weights": "没有自编码器权重。请恢复 weights 文件夹，或用 "
    "`python -m defect train` 训练。",
    "weights_unusable": "weights/{file} 不能使用：{reason}。请重新训练或下载。",
    "memories_here_recognise_product": "此处没有可用来识别产品的记忆模型。",
    "classes_missing": "weights/{file} 没有列出六个类别。请重新下载。",
    "weights_replaced": "该检测器所用的权重（{file}）已被替换或删除。请重新载入。",
    "no_extractor": "此处没有特征提取器，无法学习。请恢复 weights/extractor/，或自行生成："
    "`python -m defect train extractor`。",
    # weights and the Hub
    "weights_absent": "weights/{file} 已列入 {index}，但文件不存在。请重新下载。",
    "no_weights": "此处没有“{category}”的 {model} 权重（{model} 可用的类别：{available}）。请训练："
    "`python -m defect train {name} {category} --data DIR`。",
    "wrong_checksum": "weights/{file} 的校验和与 {index} 中的不符（应为 {expected}，实为 "
    "{found}）。请重新下载。",
    "does_not_fit": "weights/{file} 与 {model} 网络不符：{problems}。请重新训练或下载。",
    "weights_too_large": "weights/{file} 有 {size} MB，超出权重文件的上限。",
    "lfs_pointer": "weights/{file} 是 Git LFS 指针，而非权重。请运行 `git lfs pull` 后重新启动。",
    "not_safetensors": "weights/{file} 已损坏，或不是 safetensors 文件。请重新下载。",
    "unknown_tensor": "weights/{file} 含未知张量“{tensor}”。请重新下载。",
    "damaged_tensor": "weights/{file} 中的张量“{tensor}”已损坏：{reason}。请重新下载。",
    "not_weights": "weights/{file} 不是权重文件。请重新下载。",
    "no_metadata": "weights/{file} 没有本项目可读的元数据。请重新下载。",
    "index_damaged": "weights/{name} 已损坏。请从代码仓库恢复。",
    "other_schema": "{name} 的格式版本为 {version}；本程序读取版本 {expected}。请更新程序或权重。",
    "not_in_bundle": "weights/{model}/{category}.safetensors 不在随附文件中。",
    "hub_not_named": "weights/{index} 中没有指定 Hub 仓库。",
    "hub_lacks_them": "Hub 上的 {repo} 也没有。",
    "two_sentences": "{first}{second}",
    "not_a_repository": "“{repo}”不是 Hub 上的仓库。请使用 OWNER/NAME。",
    "which_commit": "使用 {repo} 的哪个提交？请将其 40 位十六进制数写入 weights/{index} 的 "
    "`hub.revision`，或设置 DEFECT_HUB_REVISION。",
    "name_repository_check": "“{repo}”不是仓库名。请检查 {named}。",
    "has_checksum_name_another": "{name} 在那里没有校验和。请指定另一个仓库。",
    "being_fetched_so_far": "正在下载 {name}：{megabytes} / {megabytes2}。请稍后再试。",
    "larger_than_listed_refused": "{name} 大于所列大小，已拒绝。",
    "bytes_not_listed_refused": "{name} 为 {size} 字节，而非所列的 {size2}，已拒绝。",
    "does_not_have_checksum": "{name} 的校验和与所列不符（应为 {value}…，实为 {value2}…），已拒"
    "绝。",
    "more_than_weights_file": "{name} 有 {megabytes}，超出权重文件的上限。",
    "took_over_minutes_try": "{name} 下载超过 {value} 分钟。请重试。",
    "not_fetched_as_hf": "未下载 {name}：已设置 HF_HUB_OFFLINE。请取消设置，或先下载一次。",
    "hub_gated_accept_terms": "Hub 上的 {repo} 需要申请访问。请在那里接受条款并设置 HF_TOKEN。",
    "hub_has_revision_check": "Hub 上的 {repo} 没有版本 {at}。请检查 {named}。",
    "hub_has_revision_check_2": "Hub 上的 {repo} 在版本 {at} 中没有 {file}。请检查 {named}。",
    "hub_private_check_name": "Hub 上没有 {repo}，或为私有。请检查 {named} 中的名称，或将 "
    "HF_TOKEN 设为有权读取的令牌。",
    "hub_refused_give_set": "Hub 拒绝提供 {name}。请将 HF_TOKEN 设为有权读取的令牌。",
    "not_fetched_hub_answered": "{name} 下载失败：Hub 返回错误 {status}。请稍后再试。",
    "not_fetched_what_answered": "{name} 下载失败：应答的不是 Hub。请检查 HF_ENDPOINT 和代理。",
    "not_fetched_hub_did": "{name} 下载失败：Hub 未及时应答。请稍后再试。",
    "not_fetched_cache_cannot": "{name} 下载失败：无法写入缓存。请将 HF_HOME 设为一个文件夹。",
    "not_fetched_try_again": "{name} 下载失败：{lower}。请重试。",
    "not_fetched_hub_cannot": "{name} 下载失败：无法连接 Hub。请稍后再试。",
    "not_fetched_download_cut": "{name} 下载失败：连接中断。请重试。",
    # backbones
    "backbone_name": "“{name}”不是主干网络。请将 {variable} 设为 OWNER/NAME[@COMMIT]，例如 "
    "timm/vit_small_patch14_dinov2.lvd142m，或取消设置。",
    "backbone_needs_timm": '主干网络需要 timm。请用 `pip install ".[backbones]"` 安装，或取消设置 '
    "{variable}。",
    "backbone_config": "{repo} 的 {file} 不是 timm 模型的配置：{problem}。请指定另一个仓库。",
    "backbone_config_large": "文件过大",
    "backbone_config_json": "不是 JSON",
    "backbone_config_field": "其中的 {field} 不能使用",
    "backbone_unknown": "timm 没有 {repo} 所用的网络“{architecture}”。请更新 timm，或指定另一个仓"
    "库。",
    "backbone_too_large": "{architecture} 有 {millions} 百万个参数；最多接受 {most} 百万个。请指定"
    "较小的网络。",
    "backbone_unfit": "{architecture} 不能用作主干网络：{reason}。请指定另一个网络。",
    "backbone_no_maps": "它不提供照片的特征图",
    "backbone_one_size": "它不接受任意尺寸的照片",
    "backbone_not_safetensors": "{repo} 的 {file} 不是 safetensors 文件。请指定另一个仓库。",
    "backbone_tensors": "{repo} 的 {file} 与 {architecture} 不符：{tensor} 缺失、形状不符或含非有限"
    "值。请指定另一个仓库。",
    # the server's limits
    "not_open": "此地址没有内容。接口页列出了可用的内容。",
    "body_too_large": "请求超过 256 kB。请先上传文件，再只发送其路径。",
    "body_unreadable": "请求内容不是有效的 JSON。",
    "body_too_deep": "请求中的值嵌套过深。",
    "list_too_long": "请求中的列表超过 {most} 项。请减少数量。",
    "upload_too_large": "上传超过 2 GB。请分批上传。",
    "upload_stalled": "上传没有进展，已被终止。请重试。",
    "upload_aborted": "上传已中止。",
    "uploads_too_many": "您的地址正在进行的上传过多。请待其完成后再试。",
    "uploaded_too_much": "您的地址在过去一小时内已上传 4 GB。请稍后再试。",
    "connections_too_many": "来自您地址的连接过多。请关闭一些页面。",
    "server_error": "服务器出错。请检查所发送的值；如果无误，则是程序缺陷，已记录在日志中。",
    "disk_full": "服务器磁盘已满。请稍后再试。",
    "no_memory": "服务器内存不足，无法完成。请稍后再试。",
    "too_many_waiting": "您已有 {most} 个请求在等待。请待其完成后再发送。",
    "too_many_waiting_address": "来自您地址的等待请求过多。请稍后再试。",
    "out_of_time": "处理时间过长，已被终止。请发送更少或更小的文件。",
    "no_function": "没有这个名称的接口。",
    "not_public": "此函数属于页面，不能直接调用。",
    "wrong_value": "{name} 的值格式不正确。接口页说明了该接口所需的参数。",
    "wrong_values": "您发送的某个值格式不正确。接口页说明了该接口所需的参数。",
    "store_full": "服务器为访问者保留的内容已达上限。请稍后再试。",
    "wrong_dtype": "weights/{file} 中张量“{tensor}”的类型为 {kind}，不予读取。请重新获取。",
    "content_changed": "weights/{file} 已损坏：内容与其校验和不符。请重新获取该文件。",
}
"""Key of a message → in Chinese, with the same `{name}`s."""

PHRASES = {
    # what a photo should show
    "the mouth of a bottle from straight above, filling the photo, on a bright ground": "瓶口，"
    "从正上方拍摄，充满画面，浅色背景",
    "the cut end of a three-wire cable from straight above": "三芯电缆的切面，从正上方拍摄",
    "one capsule lying level, its printing in view, on a bright ground": "一粒水平放置的胶囊，"
    "印字可见，浅色背景",
    "carpet from straight above, filling the photo": "地毯，从正上方拍摄，充满画面",
    "a wire grid from straight above, filling the photo": "金属丝网，从正上方拍摄，充满画面",
    "one hazelnut on a dark ground": "一颗榛子，深色背景",
    "leather from straight above, filling the photo": "皮革，从正上方拍摄，充满画面",
    "one metal nut from straight above, on a dark ground": "一个金属螺母，从正上方拍摄，深色背景",
    "one white speckled pill from straight above, its imprint upright, on a dark ground": "一粒"
    "白色带"
    "斑点的药片，从正上方拍摄，印字朝上，深色背景",
    "one screw on a bright ground, at any angle": "一颗螺钉，任意角度，浅色背景",
    "a tile's surface from straight above, filling the photo": "瓷砖表面，从正上方拍摄，充满画面",
    "the head of a toothbrush from straight above, upright": "牙刷头，从正上方拍摄，竖直放置",
    "one transistor on a breadboard, its three legs pointing down": "面包板上的一个晶体管，"
    "三个引脚朝下",
    "a wooden surface from straight above, filling the photo": "木材表面，从正上方拍摄，充满画面",
    "a closed zipper running from top to bottom": "闭合的拉链，自上而下",
    "a woven fabric from straight above": "机织布，从正上方拍摄",
    "a sheet of brushed metal from straight above": "拉丝金属板，从正上方拍摄",
    "a screw cap from straight above": "螺旋瓶盖，从正上方拍摄",
    "a steel washer from straight above": "钢制垫圈，从正上方拍摄",
    # where weights come from
    "bundled": "随附",
    "hub": "Hub",
    "hub cache": "Hub 缓存",
    "uploaded": "上传",
    "taught here": "在此学习",
    # headers of weights: data sets, licences, corruption, notes
    "rendered by this project": "由本项目渲染",
    "rendered by this project; the extractor, MVTec AD": "由本项目渲染；特征提取器使用 MVTec AD",
    "MVTec AD, NEU surface defects, rendered by this project": "MVTec AD、NEU 表面缺陷、由本项目"
    "渲染的照片",
    "NEU surface defects, and rendered by this project": "NEU 表面缺陷，以及由本项目渲染的照片",
    "own photos": "自有照片",
    "the photos' own": "随照片",
    "research use, Song & Yan 2013": "仅供研究使用，Song & Yan 2013",
    "none": "无",
    "pasted defects on 3 of 4 photos, gaussian noise (sigma 0.3) on 1 of 2": "每 4 张照片中 3 张"
    "贴入"
    "缺陷，每 2 张中 1 张加高斯噪声（σ = 0.3）",
    "pasted defects on 4 of 5 photos, gaussian noise (sigma 0.3) on 1 of 5": "每 5 张照片中 4 张"
    "贴入"
    "缺陷，每 5 张中 1 张加高斯噪声（σ = 0.3）",
    "11 of 12 good test photos are missing; 12 training photos stand in.": "12 张良品测试照片中"
    "缺少 "
    "11 张，以 12 张训练照片代替。",
    "Taught from 12 good test photos: the training photos are not to be had here.": "用 12 张良品"
    "测试照片学习：此处没有训练照片。",
    "Taught from 20 good test photos: the training photos are not to be had here.": "用 20 张良品"
    "测试照片学习：此处没有训练照片。",
    "8 of 23 good test photos are missing.": "23 张良品测试照片中缺少 8 张。",
    "No masks: image-level figures only.": "没有掩膜：仅有图像级数据。",
    "Trained on 50 of 391 photos; test: 25 of 40 good, only cracks, no masks.": "仅用 391 张照片"
    "中的 "
    "50 张训练；测试：40 张良品中的 25 张，只有裂纹，没有掩膜。",
    "Trained on 80 % of NEU and, so that the rendered examples are named too, on 40 rendered "
    "photos "
    "a class. The figures are of NEU's held-out 20 % alone. A first training of 24 epochs had "
    "99.17 % there; 48 were then run because its training loss was still falling, so the held-out "
    "photos were looked at twice.": "用 80 % 的 NEU 照片训练；为了也能识别渲染示例，每类另加 40 "
    "张渲染"
    "照片。数据仅取自 NEU 留出的 20 %。首次训练 24 轮时，正确率为 99.17 %；因训练损失仍在下降，"
    "又运行了 "
    "48 轮，因此留出的照片被查看过两次。",
}
"""A phrase → in Chinese. Headers keep the words they were written with."""

FIGURES = {
    "false_alarm_axis": "误报率（占全部良品照片）",
    "detection_axis": "检出率（占全部缺陷品照片）",
    "calibrated_score": "校准得分",
    "thesis_score": "论文得分",
    "score_axis": "得分（正常上限的倍数）",
    "photos_axis": "照片数",
    "held_out_normal": "良品，留出（{count}）",
    "test_normal": "良品，测试（{count}）",
    "test_defective": "缺陷品，测试（{count}）",
    "normal": "正常（{count}）",
    "defective": "有缺陷（{count}）",
    "threshold": "阈值 {threshold}",
    "epoch_axis": "轮次",
    "loss_axis": "损失",
    "training_loss": "训练",
    "held_out_loss": "留出",
    "best_epoch": "最佳：第 {epoch} 轮",
    "predicted_axis": "识别为",
    "true_axis": "真实类别",
}
"""Key of a text in `evaluation.plots.TEXTS` → in Chinese."""
