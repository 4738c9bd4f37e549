"""The web app. Empty, so that `defect.ui.zero_gpu` can be imported before torch."""
