"""Weights files: format, index, quantisation, the Hub, publishing, ONNX."""
