"""Three questions about a fault: fix the configuration, skip this image, or try again?"""


class HydradError(Exception):
    """Everything hydrad raises on purpose; its text is a sentence for a person."""


class ConfigurationError(HydradError):
    """Somebody has to change a file or an argument; the verbs answer it with exit 2.

    Args:
        faults: one sentence per fault, each beginning with the key it is about.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ImageError(HydradError):
    """This image cannot be judged; the rest of them can."""


class UnfinishedImage(ImageError):
    """The decoder ran out of bytes: its writer may still be at work, so look again later."""


class UnreadableImage(ImageError):
    """More bytes would not help: no image, an image of an unknown kind, or one too large to open."""


class BundleError(HydradError):
    """A model bundle is not what it claims to be; the model in service stays."""


class ChangeRefused(HydradError):
    """Somebody asked for a setting that is not allowed; nothing was changed."""


class TryAgain(HydradError):
    """Something outside is away (data base, disk, network); what it was given is kept and offered again."""


class StoreAway(TryAgain):
    """The data base does not answer."""


class SchemaMismatch(ConfigurationError):
    """The data base's schema is older or newer than this program; the text names the command that mends it."""
