"""Layers only: no files, no scores, no training."""
