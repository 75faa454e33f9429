"""`python -m heterosis.cli`."""

from heterosis.cli import main

main()
