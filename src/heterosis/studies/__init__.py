"""Published experiments, reproduced: one package each, all of the same shape (see `study`)."""
