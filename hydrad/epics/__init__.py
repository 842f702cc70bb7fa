"""PVs of others over Channel Access: the only room that knows pyepics."""
