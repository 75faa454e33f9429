"""Measures what each configuration of a pipeline's variants costs on this machine."""
