"""Labels of plots and images: what they mean, who gave them, and which images want one next."""
