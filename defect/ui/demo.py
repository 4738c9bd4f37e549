"""The whole page: six tabs, and the endpoints for programs."""

from __future__ import annotations

import gradio as gr

from defect.ui.endpoints.catalogue import catalogue_endpoints
from defect.ui.endpoints.inspection import inspection_endpoints
from defect.ui.endpoints.teaching import teaching_endpoints
from defect.ui.i18n import label, localise_on_load
from defect.ui.tabs.api import api_tab
from defect.ui.tabs.batch import batch_tab
from defect.ui.tabs.inspect import inspect_tab
from defect.ui.tabs.product import product_tab
from defect.ui.tabs.results import results_tab
from defect.ui.tabs.steel import steel_tab


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
                localised = inspect_tab(demo, tabs)
            with gr.Tab(label("tab_steel"), id="steel"):
                localised |= steel_tab()
            with gr.Tab(label("tab_batch"), id="batch"):
                localised |= batch_tab()
            with gr.Tab(label("tab_product"), id="product"):
                localised |= product_tab(demo)
            with gr.Tab(label("tab_results"), id="results") as results:
                localised |= results_tab(results)
            with gr.Tab(label("tab_api"), id="api") as api:
                api_tab(api)
        localise_on_load(demo, localised)
        inspection_endpoints()
        teaching_endpoints()
        catalogue_endpoints()
    return demo
