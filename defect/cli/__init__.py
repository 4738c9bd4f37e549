"""`python -m defect …`: one file a command family."""
