"""What tables are made of: columns, targets, what is learned of them."""
