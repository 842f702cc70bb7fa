"""The data base as one file that any data base of ours can be made from again."""
