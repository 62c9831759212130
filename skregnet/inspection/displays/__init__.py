"""Displays of training curves, layers, uncertainty bands and calibration."""
