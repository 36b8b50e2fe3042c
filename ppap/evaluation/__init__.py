"""What results are worth: each measure in a file of its own."""
