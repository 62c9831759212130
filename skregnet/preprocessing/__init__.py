"""Inputs: checks, encoding of tables, scaling, and the validation split."""
