"""Our server beside its peers: `python -m benchmarks.peers --help`."""
