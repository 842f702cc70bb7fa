"""The PVs: what hydrad says on EPICS Channel Access, and what may be put to it."""
