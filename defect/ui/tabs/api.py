"""The API tab: how programs and agents ask the app, with examples that run as they are."""

from __future__ import annotations

from importlib.util import find_spec

import gradio as gr

from defect.detectors import catalogue
from defect.ui.i18n import label

PYTHON = """
from gradio_client import Client, handle_file

client = Client("{url}")
result, overlay, reconstruction, mask = client.predict(
    handle_file("{photo}"), "{model}", "{category}", 1.0, api_name="/predict_autoencoder"
)
print(result["defective"], result["score"], result["summary"], overlay)
"""
JAVASCRIPT = """
import {{ Client, handle_file }} from "@gradio/client";
import {{ readFile }} from "node:fs/promises";

const client = await Client.connect("{url}");
const photo = new Blob([await readFile("{photo}")], {{ type: "image/jpeg" }});
const {{ data }} = await client.predict("/predict_autoencoder",
  {{ photo: handle_file(photo), model: "{model}", category: "{category}", threshold: 1.0 }});
const [result, overlay, reconstruction, mask] = data;
console.log(result.defective, result.score, result.summary, overlay.url);
process.exit(); // the client would keep its connection open
"""
CURL = """
URL={url}/gradio_api
SENT=$(curl -s -F "files=@{photo}" $URL/upload | tr -d '[]"')
ID=$(curl -s $URL/call/predict_autoencoder -H "Content-Type: application/json" \\
  -d '{{"data": [{{"path": "'$SENT'", "meta": {{"_type": "gradio.FileData"}}}},
       "{model}", "{category}", 1.0]}}' | cut -d '"' -f 4)
curl -sN $URL/call/predict_autoencoder/$ID
"""
_HERE = "http://127.0.0.1:7860"
_TO_THE_PAGE_S_OWN = (
    "(...texts) => texts.map(text => text.replaceAll('" + _HERE + "', "
    "(window.gradio_config?.root || location.origin).replace(/\\/$/, '')))"
)


def examples(url: str = _HERE) -> list[tuple[str, str]]:
    """(name, code) of each example, for an app at this address."""
    first = catalogue.default_category()
    photo = str(first.examples[-1].path.name) if first.examples else "photo.jpg"
    values = {"url": url, "photo": photo, "model": first.models[0], "category": first.name}
    return [
        ("Python", PYTHON.strip().format(**values)),
        ("JavaScript", JAVASCRIPT.strip().format(**values)),
        ("curl", CURL.strip().format(**values)),
    ]


def api_tab(tab: gr.Tab) -> None:
    """Builds the tab inside the caller's `gr.Tab`, which it fills in when it is opened."""
    gr.Markdown(label("api_intro"), elem_classes="hint")
    gr.Markdown(label("api_endpoints"), elem_id="api-endpoints")
    codes = []
    for name, code in examples():
        with gr.Tab(name):
            codes.append(
                gr.Code(
                    code,
                    language=None,  # its colours have too little contrast on a light page
                    interactive=False,
                    label=label("api_example", language=name),
                    lines=4,
                    wrap_lines=True,
                    elem_id=f"api-{name.lower()}",
                )
            )
    gr.Markdown(label("api_clients"), elem_classes="hint")
    gr.Markdown(label("api_mcp" if find_spec("mcp") else "api_no_mcp"), elem_id="api-mcp")
    tab.select(None, codes, codes, js=_TO_THE_PAGE_S_OWN, api_visibility="private")
