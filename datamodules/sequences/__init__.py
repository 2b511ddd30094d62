"""What series are made of: their files, their padding, their windows."""
