"""Untrusted bytes → sRGB arrays, and anomaly maps → pictures."""
