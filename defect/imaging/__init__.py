"""Untrusted bytes → RGB arrays, and anomaly maps → pictures."""
