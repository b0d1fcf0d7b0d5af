"""The applications that come with Sitting, each a slice of its own."""
