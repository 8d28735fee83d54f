"""convcheck's proof of its own detection: planted faults, and odd but correct engines."""
