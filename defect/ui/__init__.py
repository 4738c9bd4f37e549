"""The web app: five tabs and the endpoints for programs."""

from __future__ import annotations

import gradio as gr

from defect.ui.api_tab import api_tab
from defect.ui.batch_tab import batch_tab
from defect.ui.endpoints import endpoints
from defect.ui.inspect_tab import inspect_tab
from defect.ui.product_endpoints import product_endpoints
from defect.ui.product_tab import product_tab
from defect.ui.results_tab import results_tab
from defect.ui.spoken import greet
from defect.ui.steel_tab import steel_tab
from defect.ui.texts import label


def build_demo() -> gr.Blocks:
    """The whole app, not yet launched.

    Raises:
        WeightsError: the index of weights is damaged.
    """
    # Uploads and results are removed an hour after their last use.
    with gr.Blocks(title="Defect detection", delete_cache=(600, 3600)) as demo:
        gr.Markdown(label("masthead"), elem_id="masthead")
        with gr.Tabs() as tabs:
            with gr.Tab(label("tab_inspect"), id="inspect"):
                spoken = inspect_tab(demo, tabs)
            with gr.Tab(label("tab_steel"), id="steel"):
                spoken |= steel_tab()
            with gr.Tab(label("tab_batch"), id="batch"):
                spoken |= batch_tab()
            with gr.Tab(label("tab_product"), id="product"):
                spoken |= product_tab(demo)
            with gr.Tab(label("tab_results"), id="results") as results:
                spoken |= results_tab(results)
            with gr.Tab(label("tab_api"), id="api") as api:
                api_tab(api)
        greet(demo, spoken)
        endpoints()
        product_endpoints()
    return demo
