"""Every private part of Gradio the app relies on, each with an assertion on what it expects."""
