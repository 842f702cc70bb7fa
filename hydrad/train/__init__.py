"""Networks and what turns labelled images into a bundle."""
