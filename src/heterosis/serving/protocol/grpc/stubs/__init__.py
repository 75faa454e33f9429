"""Generated from the .proto files beside this folder: see generate.py there."""
