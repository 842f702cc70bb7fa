"""hydrad watches the monitoring histograms of an accelerator experiment and says which of them are wrong."""

__version__ = "0.1.0"
