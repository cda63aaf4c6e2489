"""The commands of `hedgerow`. Each imports what it needs when it runs, so that --help is quick."""
