"""Who asks, may they, where does it run, what is kept, in which form does it go back."""
