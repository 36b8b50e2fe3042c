"""The Evaluate page: evaluations under way, and the reports they leave."""
