"""CS-Studio screens: of the hall, of each detector, for experts, and of hydrad's own health."""
