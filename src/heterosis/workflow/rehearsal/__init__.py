"""Published pipelines on fleets that are not here: the real server, emulated devices."""
