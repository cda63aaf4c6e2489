"""What each variant of a model costs and gives, in one table: `make` measures, `rows` is what comes out."""
