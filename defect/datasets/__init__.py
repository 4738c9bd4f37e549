"""Readers and makers of industrial image data sets."""
