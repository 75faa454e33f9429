"""From a pipeline file to a plan and a server: trace, variants, profile, plan, each made once and kept in the store.

The whole of it is `chain`; nothing is imported here, since who wants a part of it should not have to load the rest.
"""
