"""Signatures of model packages, made and checked with the library model-signing (extra [signing]).

Only the command line and the short-lived process of edge_runtime/signatures.py import what lies here.
"""
