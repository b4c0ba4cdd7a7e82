"""What the tests with foreign clients are made of."""
