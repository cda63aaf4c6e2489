"""The application: what the gateway does, with no transport and no database in it."""
