"""What the analyses of head and tail are made of."""
