"""The pages: what shift crews and experts look at, and the API for programs."""
