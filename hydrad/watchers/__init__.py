"""Those who notice that a producer has written an image, and say so when it has come to rest."""

from hydrad.watchers.follow import watcher_of

__all__ = ["watcher_of"]
