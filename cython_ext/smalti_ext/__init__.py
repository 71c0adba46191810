"""Compiled kernels of smalti, behind typed wrappers that check shapes and types.

Kernels know arrays and nothing else: no model, no table, no option object. Every kernel has a
NumPy or pure-Python twin among the tests that serves as its oracle.
"""
