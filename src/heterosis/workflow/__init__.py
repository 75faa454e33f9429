"""From a pipeline file to a plan: trace, variants, profile, plan; each is made once and kept in the store."""
