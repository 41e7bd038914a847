"""Layers as operations of programs."""
