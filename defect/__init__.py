"""Defect detection on photos of industrial products."""
