"""A model let loose on an archive: millions of files, by processes of this host or by a Ray cluster."""
