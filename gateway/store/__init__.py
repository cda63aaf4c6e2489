"""Where analyses, API keys and pictures are kept: SQLite or PostgreSQL, and a folder."""
