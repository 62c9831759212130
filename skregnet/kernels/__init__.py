"""Compiled routines called with little overhead: BLAS, cache-sized blocks, matrix products."""
