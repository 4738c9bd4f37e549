"""The API tab; names, code and JSON fields are the same in every language."""

from __future__ import annotations

ENGLISH = {
    "api_intro": "Programs can use everything the app does. Results are JSON; pictures are files. "
    "A score is a multiple of the normal limit: at the default threshold, 1.0 and above is "
    "defective.",
    "api_endpoints": """
| endpoint | takes | answers |
|---|---|---|
| `/predict_autoencoder` | photo, model, category, threshold | result, three pictures |
| `/compare` | photo, category, threshold, key | one result and overlay per model |
| `/predict_cnn` | photo | class, probabilities, Grad-CAM |
| `/predict_batch` | photos or ZIPs, model, category, threshold | counts and rows, CSV, report ZIP |
| `/teach`, `/load_detector` | good photos; a detector's file | key to use as `model`, summary |
| `/recognise` | photo | the product it shows |
| `/models` | | every model: category, checksum, photo expected, bundled or on the Hub |
| `/health` | | whether the app answers, and its version |
""",
    "api_example": "{language} example",
    "api_clients": "`pip install gradio_client` · `npm install @gradio/client` · curl gets a "
    "stream of "
    "events; the last one, `complete`, holds the result.",
    "api_mcp": "**Agents (MCP).** The same functions are MCP tools at `/gradio_api/mcp/`.",
    "api_no_mcp": "**Agents (MCP).** To get the same functions as MCP tools, install the app "
    'with `pip install "gradio[mcp]"`.',
}

CHINESE = {
    "api_intro": "应用的全部功能都可由程序调用。结果为 JSON，图片以文件返回。得分是正常上限的倍数："
    "默认阈值下，达到 1.0 即判为有缺陷。",
    "api_endpoints": """
| 端点 | 输入 | 返回 |
|---|---|---|
| `/predict_autoencoder` | 照片、模型、类别、阈值 | 结果、三张图片 |
| `/compare` | 照片、类别、阈值、密钥 | 每个模型一个结果，以及各自的叠加图 |
| `/predict_cnn` | 照片 | 类别、概率、Grad-CAM |
| `/predict_batch` | 多张照片或 ZIP、模型、类别、阈值 | 计数和逐行结果、CSV、报告 ZIP |
| `/teach`、`/load_detector` | 良品照片；检测器文件 | 可用作模型的密钥、摘要 |
| `/recognise` | 照片 | 最像哪种产品 |
| `/models` | | 所有模型：类别、校验和、需要什么照片、随附还是在 Hub 上 |
| `/health` | | 应用是否响应，以及其版本 |
""",
    "api_example": "{language} 示例",
    "api_clients": "`pip install gradio_client` · `npm install @gradio/client` · curl 返回事件流，"
    "结果在最后一个事件 `complete` 中。",
    "api_mcp": "**智能体（MCP）** 同样的功能可作为 MCP 工具使用，地址为 `/gradio_api/mcp/`。",
    "api_no_mcp": '**智能体（MCP）** 用 `pip install "gradio[mcp]"` 安装应用后，'
    "同样的功能即成为 MCP 工具；此处尚未安装。",
}
